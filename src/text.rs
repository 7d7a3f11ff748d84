//! Validated text: the content of a `Text<K>` obeys the rule of its kind.
//!
//! The rule is written once, here; the same constants bound the OpenAPI document (`api::types`), so
//! the document cannot promise what the server refuses. No kind admits NUL, which PostgreSQL cannot
//! store.

mod rules;

use std::{fmt, marker::PhantomData, ops::Deref};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use self::rules::{
    is_broker_url, is_certificates, is_device_label, is_email, is_free_header, is_host,
    is_host_port, is_http_url, is_in_topic, is_label, is_line, is_media_type, is_private_key,
    is_prose, is_signing_secret, is_slug, is_username,
};

/// The rule for one kind of text. Lengths are in characters.
pub trait Kind: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// Shortest length.
    const MIN: usize;
    /// Longest length.
    const MAX: usize;
    /// Meaning of the pattern, for a person: "must ...".
    const RULE: &'static str;
    /// The rule as a regular expression, for the document. ECMA 262, PCRE, Python, RE2 and Java must read it the
    /// same way, with and without knowledge of Unicode: `\x00` and not `\u0000`, no look-around, no `\p`, and no
    /// classes that tell characters beyond ASCII apart.
    const PATTERN: &'static str;
    /// Precision of the pattern compared with the rule.
    const PRECISION: Precision = Precision::Exact;
    /// A good value, for the document.
    const EXAMPLE: &'static str;
    /// Returns true if the text obeys the rule; its length has already been checked.
    fn admits(text: &str) -> bool;
}

/// Precision with which a pattern expresses a rule. No pattern excludes a text that the server accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Precision {
    /// All of it.
    Exact,
    /// All of it for ASCII; other characters pass the pattern, and some of them break the rule.
    Ascii,
    /// Part of it: the rule is no regular language, or its pattern would be too long to read.
    Part,
}

/// Text that obeys the rule of `K`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<K>(String, PhantomData<K>);

impl<K: Kind> Text<K> {
    /// Checks the text; the error is the broken rule, to be put after the field's name.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        let length = text.chars().count();
        if length < K::MIN || length > K::MAX {
            return Err(format!("must have {} to {} characters", K::MIN, K::MAX));
        }
        if !K::admits(&text) {
            return Err(K::RULE.to_owned());
        }
        Ok(Self(text, PhantomData))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Default for Text<MessageTextKind> {
    fn default() -> Self {
        Self(String::new(), PhantomData)
    }
}

impl<K> Deref for Text<K> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<K> fmt::Display for Text<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<K> Serialize for Text<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Text<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $alias:ident = $kind:ident { $min:literal ..= $max:expr, $pattern:expr, $rule:expr, $example:expr, $admits:expr $(; $precision:ident)? })*) => {$(
        $(#[$doc])*
        pub type $alias = Text<$kind>;

        #[doc = concat!("The rule of [`", stringify!($alias), "`].")]
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $kind;

        impl Kind for $kind {
            const MIN: usize = $min;
            const MAX: usize = $max;
            const RULE: &'static str = $rule;
            const PATTERN: &'static str = $pattern;
            const EXAMPLE: &'static str = $example;
            $(const PRECISION: Precision = Precision::$precision;)?
            fn admits(text: &str) -> bool {
                let admits: fn(&str) -> bool = $admits;
                admits(text)
            }
        }
    )*

        /// Checks that the pattern of each kind in this list agrees with its check.
        #[cfg(test)]
        fn check_all_patterns() {
            $(agreement::check::<$kind>();)*
        }
    };
}

const LINE: &str = r"^[^\x00-\x1f\x7f]*$";
const LINE_RULE: &str = "must have no control characters";
const PROSE: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$";
const PROSE_RULE: &str = "must have no control characters but tab and line breaks";
/// An example certificate that identifies nobody.
const PEM_EXAMPLE: &str = "-----BEGIN CERTIFICATE-----\n\
     MIIBjzCCATWgAwIBAgIUaV1droPyP07MZeBLkOpZtmzQHIUwCgYIKoZIzj0EAwIw\n\
     HTEbMBkGA1UEAwwSYnJva2VyLmV4YW1wbGUuY29tMB4XDTI2MTEyMzIwNDA0MFoX\n\
     DTM2MTEyMDIwNDA0MFowHTEbMBkGA1UEAwwSYnJva2VyLmV4YW1wbGUuY29tMFkw\n\
     EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEv4QneTjSa45g+atHZIKht5HRQN9I8ySq\n\
     eqgTwe56ZSxkmX0rVkNlQEHDxm9iJWR+PduQtpxzemCyTlkCpxZ8w6NTMFEwHQYD\n\
     VR0OBBYEFBP9N3G73E459AXgFBlnx8k0OhKeMB8GA1UdIwQYMBaAFBP9N3G73E45\n\
     9AXgFBlnx8k0OhKeMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIg\n\
     EOsNZkoUcBnOe0oKylXd7oAQHq8BIX20OaiyEpuvY2ECIQCBTeqGQRvQ43Vz5YxY\n\
     4Vt83O4gerYwcGWhQ7OYE7kYAw==\n\
     -----END CERTIFICATE-----\n\n";
const SLUG: &str = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$";

kinds! {
    /// The name of a resource: one line.
    Name = NameKind { 1..=120, LINE, LINE_RULE, "Hamburg office", is_line }
    /// The name of a device: one line, may be empty.
    DeviceName = DeviceNameKind { 0..=120, LINE, LINE_RULE, "Office 201", is_line }
    /// Description of a resource, in a few sentences.
    Description = DescriptionKind { 0..=2000, PROSE, PROSE_RULE, "Indoor climate, second floor", is_prose }
    /// A device's id: letters, digits and single inner dashes.
    DeviceId = DeviceIdKind {
        1..=63, r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$",
        "must be letters and digits, with single dashes between them", "hh-office-201",
        |text| text.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    }
    /// A label of a driver, or one to look for or to remove: letters and digits of any script, `- _ . : = /` and inner spaces.
    Label = LabelKind {
        1..=120, r"^[^\x00-\x2c\x3b\x3c\x3e-\x40\x5b-\x5e\x60\x7b-\x7f]([^\x00-\x1f\x21-\x2c\x3b\x3c\x3e-\x40\x5b-\x5e\x60\x7b-\x7f]*[^\x00-\x2c\x3b\x3c\x3e-\x40\x5b-\x5e\x60\x7b-\x7f])?$",
        "must be letters and digits of any script, - _ . : = / and inner spaces", "site=hamburg", is_label; Ascii
    }
    /// A label of a device, which a selector can match as it reads: `key=value` has a key, and nobody who writes
    /// `site: berlin` wonders why `site=berlin` does not match.
    DeviceLabel = DeviceLabelKind {
        1..=120, LabelKind::PATTERN,
        "must be letters and digits of any script, - _ . : = / and inner spaces, with no space beside : or =, and no = at the start: write site=hamburg",
        "site=hamburg", is_device_label; Part
    }
    /// A label selector, parsed by [`crate::selector`]. Empty: every device.
    SelectorText = SelectorKind { 0..=4096, LINE, LINE_RULE, "site=hamburg, !planned", is_line }
    /// The network's own id of a device, such as a DevEUI.
    NetworkDeviceId = NetworkDeviceIdKind { 1..=100, r"^[^\x00-\x1f\x7f]+$", LINE_RULE, "A84041000181C061", is_line }
    /// The author part of a driver's name.
    DriverAuthor = DriverAuthorKind { 1..=63, SLUG, SLUG_RULE, "dragino", is_slug }
    /// The name part of a driver's name.
    DriverName = DriverNameKind { 1..=63, SLUG, SLUG_RULE, "lht65", is_slug }
    /// A tag of a driver.
    DriverTag = DriverTagKind { 1..=63, SLUG, SLUG_RULE, "1.0.1", is_slug }
    /// A function that a driver's script defines: a JavaScript name in ASCII.
    FunctionName = FunctionNameKind {
        1..=63, r"^[A-Za-z_$][A-Za-z0-9_$]*$", "must be a name of ASCII letters, digits, _ and $",
        "decode", |text| !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'))
    }
    /// The source of a driver, JavaScript, up to 1 MiB.
    Script = ScriptKind {
        1..=1_048_576, r"^[^\x00]*$", "must have no NUL character",
        "function decode(payload, port) { return {temperature: (payload[0] << 8 | payload[1]) / 10}; }",
        |text| !text.contains('\0')
    }
    /// A payload in hexadecimal digits, up to 4096 bytes; may be empty.
    PayloadHex = PayloadHexKind {
        0..=8192, "^([0-9A-Fa-f]{2})*$", "must be pairs of hexadecimal digits", "00d7",
        |text| hex::decode(text).is_ok()
    }
    /// A payload in base64 with padding, up to 4096 bytes; may be empty.
    PayloadBase64 = PayloadBase64Kind {
        0..=5464, "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$",
        "must be base64 with padding", "ANc=", |text| STANDARD.decode(text).is_ok()
    }
    /// A login name: 3-30 characters of any script, inner spaces.
    Username = UsernameKind { 3..=30, LINE, LINE_RULE, "admin", is_line }
    /// A password as typed. Its lower bound is checked where it is set, not where it is compared.
    Password = PasswordKind { 1..=1024, r"^[^\x00]*$", "must have no NUL character", "correct horse battery", |text| !text.contains('\0') }
    /// A password to set.
    NewPassword = NewPasswordKind { 10..=1024, r"^[^\x00]*$", "must have no NUL character", "correct horse battery", |text| !text.contains('\0') }
    /// A person's name or country: one line, may be empty.
    PersonText = PersonTextKind { 0..=120, LINE, LINE_RULE, "Jana Petersen", is_line }
    /// An e-mail address, may be empty.
    Email = EmailKind {
        0..=254, r"^([^\x00-\x20@\x7f]+@[^\x00-\x20@\x7f]+)?$", "must have the form somebody@somewhere",
        "jana.petersen@nordlicht.example", is_email
    }
    /// A login name to assign: 3-30 characters of any script, `- _ .` and inner spaces.
    NewUsername = NewUsernameKind {
        3..=30, r"^[^\x00-\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]([^\x00-\x1f\x21-\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]*[^\x00-\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f])?$",
        "must be letters and digits of any script, - _ . and inner spaces", "m.dubois", is_username; Ascii
    }
    /// A JSON pointer (RFC 6901).
    JsonPointer = JsonPointerKind {
        0..=200, r"^(/([^/~\x00-\x1f\x7f]|~[01])*)*$",
        "must be a JSON pointer: parts that start with /, with ~0 for ~ and ~1 for /", "/payload",
        |text| is_line(text) && (text.is_empty() || text.starts_with('/'))
            && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
    }
    /// An absolute http or https URL to send to.
    HttpUrl = HttpUrlKind {
        8..=2000, r"^https?://[^\x00-\x20\x7f/?#@]+([/?#][^\x00-\x20\x7f]*)?$",
        "must be an absolute http:// or https:// URL, and have no user or password: those are kept secret in members of their own, as auth",
        "https://hooks.nordlicht.example/uplinks", is_http_url; Part
    }
    /// The value of an `Authorization` header: visible ASCII and inner spaces.
    HeaderValue = HeaderValueKind {
        1..=4096, r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$", "must be visible ASCII with inner spaces",
        "Bearer EXAMPLE-token", |text| text.bytes().all(|b| (0x20..=0x7e).contains(&b)) && text.trim() == text
    }
    /// The name of an HTTP header that the hub does not set itself.
    HeaderName = HeaderNameKind {
        1..=64, r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        "must be the name of a header that the hub does not set itself (Host, Content-*, Authorization, Webhook-* and those of the connection)",
        "X-Tenant", is_free_header; Part
    }
    /// A password, a client's id or secret: one line.
    CredentialText = CredentialTextKind { 1..=1024, LINE, LINE_RULE, "EXAMPLE-secret", is_line }
    /// A parameter of a protocol: visible ASCII with inner spaces.
    ProtocolText = ProtocolTextKind {
        1..=1000, r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$", "must be visible ASCII with inner spaces",
        "iot.write", |text| text.bytes().all(|b| (0x20..=0x7e).contains(&b)) && text.trim() == text
    }
    /// A signing secret of the Standard Webhooks scheme: 24 to 64 bytes.
    SigningSecret = SigningSecretKind {
        38..=94, r"^whsec_(([A-Za-z0-9+/]{4}){8,20}([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?|([A-Za-z0-9+/]{4}){21}([A-Za-z0-9+/][AQgw]==)?)$",
        "must be whsec_ and 24 to 64 bytes in base64 with padding", "whsec_RVhBTVBMRUVYQU1QTEVFWEFNUExFRVhBTVBMRUVY", is_signing_secret
    }
    /// A template, up to 64 KiB.
    TemplateText = TemplateTextKind {
        1..=65_536, r"^[^\x00]*$", "must have no NUL character",
        "{\"device\": {{ uplink_metadata.id }}, \"celsius\": {{ data.temperature }}}",
        |text| !text.contains('\0')
    }
    /// A media type, with no parameter but the charset UTF-8.
    MediaType = MediaTypeKind {
        3..=120, r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?charset=utf-8)?$",
        "must be a media type such as application/json, with no parameter but charset=utf-8", "application/json", is_media_type
    }
    /// A name in a database: a table's, a column's.
    SqlName = SqlNameKind { 1..=63, LINE, LINE_RULE, "measurements", is_line }
    /// The name or address of a server.
    HostName = HostNameKind {
        1..=253, r"^[A-Za-z0-9:.\[\]_-]+$", "must be the name or address of a server, without a port",
        "db.nordlicht.example", is_host; Part
    }
    /// The name or address of a server, with its port.
    HostPort = HostPortKind {
        3..=260, r"^[A-Za-z0-9:.\[\]_-]+:[0-9]{1,5}$", "must be the name or address of a server, a colon and its port",
        "kafka-1.nordlicht.example:9093", is_host_port; Part
    }
    /// A template of a Kafka topic.
    KafkaTopic = KafkaTopicKind { 1..=500, LINE, LINE_RULE, "iot.{event}", is_line }
    /// Certificates in PEM.
    CertificateText = CertificateTextKind {
        1..=65_536, r"^[^\x00]*-----BEGIN CERTIFICATE-----[^\x00]*$", "must be certificates in PEM",
        PEM_EXAMPLE, is_certificates
    }
    /// A private key in PEM.
    PrivateKeyText = PrivateKeyTextKind {
        1..=65_536, r"^[^\x00]*-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^\x00]*$",
        "must be a private key in PEM, without a passphrase",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", is_private_key
    }
    /// A folder: letters, digits, dashes and underscores.
    FolderName = FolderNameKind {
        1..=63, r"^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$",
        "must be letters, digits, dashes and underscores, with a letter or digit at both ends", "erp",
        |text| is_slug(text) && !text.contains('.')
    }
    /// Text with `{{names}}` to be filled in, up to 4096 characters.
    Template = TemplateKind {
        1..=4096, PROSE, PROSE_RULE, r#"{"payload": "{{payload_hex}}", "port": {{f_port}}}"#, is_prose
    }
    /// The URL of an MQTT broker.
    BrokerUrl = BrokerUrlKind {
        8..=500, r"^(mqtts?|wss?)://[^\x00-\x20\x7f]+$",
        "must start with mqtt://, mqtts://, ws:// or wss:// and name a host", "mqtts://broker.nordlicht.example:8883",
        is_broker_url
    }
    /// The client id used at a broker.
    ClientId = ClientIdKind { 1..=128, LINE, LINE_RULE, "thingshub-hamburg", is_line }
    /// A username at another system.
    Login = LoginKind { 1..=512, LINE, LINE_RULE, "thingshub", is_line }
    /// A secret of another system.
    SecretText = SecretTextKind {
        1..=4096, r"^[^\x00]*$", "must have no NUL character", "correct horse battery", |text| !text.contains('\0')
    }
    /// Certificates or a key, in PEM.
    Pem = PemKind {
        1..=65_536, r"^[^\x00]*$", "must have no NUL character", PEM_EXAMPLE, |text| !text.contains('\0')
    }
    /// The name of a protocol in TLS (ALPN).
    Alpn = AlpnKind {
        1..=255, r"^[\x21-\x7e]*$", "must be visible ASCII", "x-amzn-mqtt-ca",
        |text| text.bytes().all(|b| (0x21..=0x7e).contains(&b))
    }
    /// A template of an MQTT topic, with `{names}` to fill in.
    TopicTemplate = TopicTemplateKind {
        1..=1024, r"^[^\x00-\x1f\x7f+#]*$",
        "must have no control characters and no wildcards + and #", "devices/{device_id}/{event}",
        |text| is_in_topic(text) && !text.contains(['+', '#']); Ascii
    }
    /// A topic with `{{names}}` to be filled in.
    DownlinkTopic = DownlinkTopicKind {
        1..=1024, r"^[^\x00-\x1f\x7f+#]*$",
        "must have no control characters and no wildcards + and #", "devices/{{network_device_id}}/down",
        |text| is_in_topic(text) && !text.contains(['+', '#']); Ascii
    }
    /// One level of a topic.
    TopicLevel = TopicLevelKind {
        1..=100, r"^[^\x00-\x1f\x7f+#/]*$",
        "must have no control characters, slashes and wildcards",
        "b3b8bbae-0a24-4d2f-9e4c-6d8b0a5f4c11", |text| is_in_topic(text) && !text.contains(['+', '#', '/']); Ascii
    }
    /// A topic filter to subscribe to.
    TopicFilter = TopicFilterKind {
        1..=1024, r"^[^\x00-\x1f\x7f]*$", LINE_RULE, "sensors/+/up", is_in_topic; Ascii
    }
    /// A message to publish, as text; may be empty.
    MessageText = MessageTextKind { 0..=4096, r"^[^\x00]*$", "must have no NUL character", "offline", |text| !text.contains('\0') }
    /// A regular expression, to be matched from end to end.
    Pattern = PatternKind { 1..=500, LINE, LINE_RULE, "A81758.*", is_line }
    /// A value that a network server puts into the query: one line.
    NetworkWord = NetworkWordKind { 0..=300, LINE, LINE_RULE, "up", is_line }
    /// A template of a device's name or id.
    DeviceTemplate = DeviceTemplateKind { 1..=200, LINE, LINE_RULE, "{network_name}", is_line }
    /// A tunnel interface authentication key of ThingPark.
    AsKey = AsKeyKind {
        32..=36, r"^[0-9A-Fa-f-]*$", "must be hexadecimal digits, with dashes or without",
        "c6f5e3b263092120b8766b9aed9c41b4",
        |text| text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
    }
    /// The path of a decoded field: parts joined by dots.
    FieldPath = FieldPathKind { 1..=200, LINE, LINE_RULE, "temperature", is_line }
    /// Conditions on the values of rows, parsed by `api::data::filter`.
    RowFilterText = RowFilterTextKind { 1..=2000, LINE, LINE_RULE, "temperature>30, door.open=true", is_line }
}

const SLUG_RULE: &str =
    "must be letters, digits, dots, dashes and underscores, with a letter or digit at both ends";

#[cfg(test)]
pub mod agreement;

#[cfg(test)]
mod tests;
