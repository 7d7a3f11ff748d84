//! Validated text: the content of a `Text<K>` obeys the rule of its kind.
//!
//! The rule is written once, here; the same constants bound the OpenAPI document (`api::types`), so
//! the document cannot promise what the server refuses. No kind admits NUL, which PostgreSQL cannot
//! store.

use std::{fmt, marker::PhantomData, ops::Deref};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The rule for one kind of text. Lengths are in characters.
pub trait Kind: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// Shortest length.
    const MIN: usize;
    /// Longest length.
    const MAX: usize;
    /// Meaning of the pattern, for a person: "must ...".
    const RULE: &'static str;
    /// The rule as an ECMA 262 regular expression, for the document.
    const PATTERN: &'static str;
    /// A good value, for the document.
    const EXAMPLE: &'static str;
    /// Returns true if the text obeys the rule; its length has already been checked.
    fn admits(text: &str) -> bool;
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
    ($($(#[$doc:meta])* $alias:ident = $kind:ident { $min:literal ..= $max:expr, $pattern:expr, $rule:expr, $example:expr, $admits:expr })*) => {$(
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
            fn admits(text: &str) -> bool {
                let admits: fn(&str) -> bool = $admits;
                admits(text)
            }
        }
    )*};
}

const LINE: &str = r"^[^\u0000-\u001f\u007f]*$";
const LINE_RULE: &str = "must have no control characters";
const PROSE: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$";
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
    Name = NameKind { 1..=120, LINE, LINE_RULE, "Berlin office", is_line }
    /// The name of a device: one line, may be empty.
    DeviceName = DeviceNameKind { 0..=120, LINE, LINE_RULE, "Meeting room 2", is_line }
    /// Description of a resource, in a few sentences.
    Description = DescriptionKind { 0..=2000, PROSE, PROSE_RULE, "Indoor climate, second floor", is_prose }
    /// A device's id: letters, digits and single inner dashes.
    DeviceId = DeviceIdKind {
        1..=63, r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$",
        "must be letters and digits, with single dashes between them", "am102-meeting-2",
        |text| text.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
    }
    /// A label of a driver, or one to look for or to remove: letters and digits of any script, `- _ . : = /` and inner spaces.
    Label = LabelKind {
        1..=120, r"^[^\u0000-\u002c\u003b\u003c\u003e-\u0040\u005b-\u005e\u0060\u007b-\u00a9]([^\u0000-\u001f\u0021-\u002c\u003b\u003c\u003e-\u0040\u005b-\u005e\u0060\u007b-\u00a9]*[^\u0000-\u002c\u003b\u003c\u003e-\u0040\u005b-\u005e\u0060\u007b-\u00a9])?$",
        "must be letters and digits of any script, - _ . : = / and inner spaces", "site=berlin", is_label
    }
    /// A label of a device, which a selector can match as it reads: `key=value` has a key, and nobody who writes
    /// `site: berlin` wonders why `site=berlin` does not match.
    DeviceLabel = DeviceLabelKind {
        1..=120, LabelKind::PATTERN,
        "must be letters and digits of any script, - _ . : = / and inner spaces, with no space beside : or =, and no = at the start: write site=berlin",
        "site=berlin", is_device_label
    }
    /// A label selector, parsed by [`crate::selector`]. Empty: every device.
    SelectorText = SelectorKind { 0..=4096, LINE, LINE_RULE, "site=berlin, !retired", is_line }
    /// The network's own id of a device, such as a DevEUI.
    NetworkDeviceId = NetworkDeviceIdKind { 1..=100, r"^[^\u0000-\u001f\u007f]+$", LINE_RULE, "24E124538C194528", is_line }
    /// The author part of a driver's name.
    DriverAuthor = DriverAuthorKind { 1..=63, SLUG, SLUG_RULE, "milesight", is_slug }
    /// The name part of a driver's name.
    DriverName = DriverNameKind { 1..=63, SLUG, SLUG_RULE, "am102", is_slug }
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
        1..=1_048_576, r"^[^\u0000]*$", "must have no NUL character",
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
    Password = PasswordKind { 1..=1024, r"^[^\u0000]*$", "must have no NUL character", "correct horse battery", |text| !text.contains('\0') }
    /// A password to set.
    NewPassword = NewPasswordKind { 10..=1024, r"^[^\u0000]*$", "must have no NUL character", "correct horse battery", |text| !text.contains('\0') }
    /// A person's name or country: one line, may be empty.
    PersonText = PersonTextKind { 0..=120, LINE, LINE_RULE, "Ada Lovelace", is_line }
    /// An e-mail address, may be empty.
    Email = EmailKind {
        0..=254, r"^([^\u0000-\u0020@\u007f]+@[^\u0000-\u0020@\u007f]+)?$", "must read somebody@somewhere",
        "ada@example.com", is_email
    }
    /// A login name to assign: 3-30 characters of any script, `- _ .` and inner spaces.
    NewUsername = NewUsernameKind {
        3..=30, r"^[^\u0000-\u002c\u002f\u003a-\u0040\u005b-\u005e\u0060\u007b-\u00a9]([^\u0000-\u001f\u0021-\u002c\u002f\u003a-\u0040\u005b-\u005e\u0060\u007b-\u00a9]*[^\u0000-\u002c\u002f\u003a-\u0040\u005b-\u005e\u0060\u007b-\u00a9])$",
        "must be letters and digits of any script, - _ . and inner spaces", "ada.lovelace", is_username
    }
    /// A JSON pointer (RFC 6901).
    JsonPointer = JsonPointerKind {
        0..=200, r"^(/([^/~\u0000-\u001f\u007f-\u009f]|~[01])*)*$",
        "must be a JSON pointer: parts that start with /, with ~0 for ~ and ~1 for /", "/payload",
        |text| !text.chars().any(char::is_control) && (text.is_empty() || text.starts_with('/'))
            && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
    }
    /// An absolute http or https URL to send to.
    HttpUrl = HttpUrlKind {
        8..=2000, r"^https?://[^\u0000-\u0020\u007f/?#@]+([/?#][^\u0000-\u0020\u007f]*)?$",
        "must be an absolute http:// or https:// URL, and have no user or password: those are kept secret in members of their own, as auth",
        "https://erp.example.com/iot", is_http_url
    }
    /// The value of an `Authorization` header: visible ASCII and inner spaces.
    HeaderValue = HeaderValueKind {
        1..=4096, r"^[\u0021-\u007e]([\u0020-\u007e]*[\u0021-\u007e])?$", "must be visible ASCII with inner spaces",
        "Bearer s3cr3t", |text| text.bytes().all(|b| (0x20..=0x7e).contains(&b)) && text.trim() == text
    }
    /// The name of an HTTP header that the hub does not set itself.
    HeaderName = HeaderNameKind {
        1..=64, r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        "must be the name of a header that the hub does not set itself (Host, Content-*, Authorization, Webhook-* and those of the connection)",
        "X-Tenant", is_free_header
    }
    /// A password, a client's id or secret: one line.
    CredentialText = CredentialTextKind { 1..=1024, LINE, LINE_RULE, "s3cr3t", is_line }
    /// A parameter of a protocol: visible ASCII with inner spaces.
    ProtocolText = ProtocolTextKind {
        1..=1000, r"^[\u0021-\u007e]([\u0020-\u007e]*[\u0021-\u007e])?$", "must be visible ASCII with inner spaces",
        "iot.write", |text| text.bytes().all(|b| (0x20..=0x7e).contains(&b)) && text.trim() == text
    }
    /// A signing secret of the Standard Webhooks scheme: 24 to 64 bytes.
    SigningSecret = SigningSecretKind {
        38..=94, r"^whsec_([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$",
        "must be whsec_ and 24 to 64 bytes in base64 with padding", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", is_signing_secret
    }
    /// A template, up to 64 KiB.
    TemplateText = TemplateTextKind {
        1..=65_536, r"^[^\u0000]*$", "must have no NUL character",
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
        "db.example.com", is_host
    }
    /// The name or address of a server, with its port.
    HostPort = HostPortKind {
        3..=260, r"^[A-Za-z0-9:.\[\]_-]+:[0-9]{1,5}$", "must be the name or address of a server, a colon and its port",
        "kafka.example.com:9093", is_host_port
    }
    /// A template of a Kafka topic.
    KafkaTopic = KafkaTopicKind { 1..=500, LINE, LINE_RULE, "iot.{event}", is_line }
    /// Certificates in PEM.
    CertificateText = CertificateTextKind {
        1..=65_536, r"^[^\u0000]*-----BEGIN CERTIFICATE-----[^\u0000]*$", "must be certificates in PEM",
        PEM_EXAMPLE, is_certificates
    }
    /// A private key in PEM.
    PrivateKeyText = PrivateKeyTextKind {
        1..=65_536, r"^[^\u0000]*-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^\u0000]*$",
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
        8..=500, r"^(mqtts?|wss?)://[^\u0000-\u0020\u007f]+$",
        "must start with mqtt://, mqtts://, ws:// or wss:// and name a host", "mqtts://broker.example.com",
        |text| ["mqtt://", "mqtts://", "ws://", "wss://"].iter().any(|scheme| text.starts_with(scheme))
            && !text.chars().any(|c| c <= ' ' || c == '\u{7f}')
    }
    /// The client id used at a broker.
    ClientId = ClientIdKind { 1..=128, LINE, LINE_RULE, "thingshub-berlin", is_line }
    /// A username at another system.
    Login = LoginKind { 1..=512, LINE, LINE_RULE, "thingshub", is_line }
    /// A secret of another system.
    SecretText = SecretTextKind {
        1..=4096, r"^[^\u0000]*$", "must have no NUL character", "correct horse battery", |text| !text.contains('\0')
    }
    /// Certificates or a key, in PEM.
    Pem = PemKind {
        1..=65_536, r"^[^\u0000]*$", "must have no NUL character", PEM_EXAMPLE, |text| !text.contains('\0')
    }
    /// The name of a protocol in TLS (ALPN).
    Alpn = AlpnKind {
        1..=255, r"^[\u0021-\u007e]*$", "must be visible ASCII", "x-amzn-mqtt-ca",
        |text| text.bytes().all(|b| (0x21..=0x7e).contains(&b))
    }
    /// A template of an MQTT topic, with `{names}` to fill in.
    TopicTemplate = TopicTemplateKind {
        1..=1024, r"^[^\u0000-\u001f\u007f-\u009f+#]*$",
        "must have no control characters and no wildcards + and #", "devices/{device_id}/{event}",
        |text| is_in_topic(text) && !text.contains(['+', '#'])
    }
    /// A topic with `{{names}}` to be filled in.
    DownlinkTopic = DownlinkTopicKind {
        1..=1024, r"^[^\u0000-\u001f\u007f-\u009f+#]*$",
        "must have no control characters and no wildcards + and #", "devices/{{network_device_id}}/down",
        |text| is_in_topic(text) && !text.contains(['+', '#'])
    }
    /// One level of a topic.
    TopicLevel = TopicLevelKind {
        1..=100, r"^[^\u0000-\u001f\u007f-\u009f+#/]*$",
        "must have no control characters, slashes and wildcards",
        "b3b8bbae-0a24-4d2f-9e4c-6d8b0a5f4c11", |text| is_in_topic(text) && !text.contains(['+', '#', '/'])
    }
    /// A topic filter to subscribe to.
    TopicFilter = TopicFilterKind {
        1..=1024, r"^[^\u0000-\u001f\u007f-\u009f]*$", LINE_RULE, "sensors/+/up", is_in_topic
    }
    /// A message to publish, as text; may be empty.
    MessageText = MessageTextKind { 0..=4096, r"^[^\u0000]*$", "must have no NUL character", "offline", |text| !text.contains('\0') }
    /// A regular expression, to be matched from end to end.
    Pattern = PatternKind { 1..=500, LINE, LINE_RULE, "24E124.*", is_line }
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
}

const SLUG_RULE: &str =
    "must be letters, digits, dots, dashes and underscores, with a letter or digit at both ends";

fn is_line(text: &str) -> bool {
    !text.chars().any(|c| c < ' ' || c == '\u{7f}')
}

/// True if a topic may contain the text: brokers also reject the control characters beyond ASCII.
fn is_in_topic(text: &str) -> bool {
    !text.contains(char::is_control)
}

fn is_prose(text: &str) -> bool {
    !text
        .chars()
        .any(|c| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || c == '\u{7f}')
}

fn is_slug(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let end = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    end(bytes.first()) && end(bytes.last()) && bytes.iter().all(|&b| inner(b))
}

fn is_label(text: &str) -> bool {
    let body = |c: char| c.is_alphanumeric() || "-_.:=/".contains(c);
    text.chars().all(|c| body(c) || c == ' ') && !text.starts_with(' ') && !text.ends_with(' ')
}

fn is_device_label(text: &str) -> bool {
    let is_apart = |part: &str| !part.starts_with(' ') && !part.ends_with(' ');
    is_label(text) && !text.starts_with('=') && text.split([':', '=']).all(is_apart)
}

fn is_username(text: &str) -> bool {
    let body = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    text.chars().all(|c| body(c) || c == ' ') && !text.starts_with(' ') && !text.ends_with(' ')
}

fn is_email(text: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.chars().all(|c| c > ' ' && c != '\u{7f}' && c != '@');
    text.is_empty()
        || text
            .split_once('@')
            .is_some_and(|(name, host)| part(name) && part(host))
}

/// Excludes headers that the hub sets, and those that belong to a single connection (RFC 9110, 7.6.1).
fn is_free_header(text: &str) -> bool {
    const TAKEN: [&str; 13] = [
        "authorization",
        "connection",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ];
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&b);
    let name = text.to_ascii_lowercase();
    text.bytes().all(token)
        && !TAKEN.contains(&&*name)
        && !name.starts_with("content-")
        && !name.starts_with("webhook-")
}

fn is_signing_secret(text: &str) -> bool {
    text.strip_prefix("whsec_")
        .and_then(|text| STANDARD.decode(text).ok())
        .is_some_and(|bytes| (24..=64).contains(&bytes.len()))
}

fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
        !text.is_empty() && text.bytes().all(inner)
    };
    let kind = text.split(';').next().unwrap_or_default();
    let parameter = &text[kind.len()..];
    let (main, sub) = kind.split_once('/').unwrap_or_default();
    let plain = matches!(parameter, "" | ";charset=utf-8" | "; charset=utf-8");
    token(main) && token(sub) && plain
}

fn is_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b":.[]_-".contains(&b);
    text.bytes().all(plain) && url::Host::parse(text).is_ok()
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_number = port.bytes().all(|b| b.is_ascii_digit());
        is_host(host) && is_number && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// The certificates are only parsed when they are used.
fn is_certificates(text: &str) -> bool {
    text.contains("-----BEGIN CERTIFICATE-----") && !text.contains('\0')
}

fn is_private_key(text: &str) -> bool {
    let rest = text.split_once("-----BEGIN ").map(|(_, rest)| rest);
    rest.is_some_and(|rest| rest.contains("PRIVATE KEY-----")) && !text.contains('\0')
}

fn is_http_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    // A URL is shown to everybody who may see the resource, so it must not contain a password.
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| !authority.contains('@'))
        && !text.chars().any(|c| c <= ' ' || c == '\u{7f}')
        && url::Url::parse(text)
            .is_ok_and(|url| url.host_str().is_some_and(|host| !host.is_empty()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::selector::Selector;

    #[test]
    fn labels_take_every_script_and_refuse_what_selectors_use() {
        for good in ["Türsensor", "site=berlin", "二階", "a b", "a/b.c:d_e-f"] {
            assert!(Label::new(good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a,b", "(a)", "!a", "a\0b", "a\"b"] {
            assert!(Label::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_device_s_label_reads_as_its_selector() {
        for good in [
            "site=berlin",
            "site:berlin",
            "meeting room",
            "floor=1st floor",
            "a=",
            "a=b=c",
            "urn:dev:1",
            ":a",
            "a:",
            "Türsensor",
            "a  b c",
        ] {
            assert!(DeviceLabel::new(good).is_ok(), "{good}");
        }
        for bad in [
            "site: berlin",
            "site= berlin",
            "site =berlin",
            "site :berlin",
            "=berlin",
            "=",
            "a b: c",
            "a,b",
            " a",
        ] {
            assert!(DeviceLabel::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Which is what a label is for.
        #[test]
        fn a_selector_matches_every_label_of_a_device(text in "[ab:=/ -]{1,8}|[\\p{L}\\p{N}:=/._ -]{1,20}|or|NOT") {
            let quoted = |text: &str| format!("\"{text}\"");
            let picks = |selector: String| Selector::parse(&selector).map(|selector| selector.matches(std::slice::from_ref(&text)));
            if DeviceLabel::new(text.as_str()).is_ok() {
                prop_assert_eq!(picks(quoted(&text)), Ok(true));
                if let Some((key, value)) = text.split_once('=') {
                    prop_assert_eq!(picks(format!("{}={}", quoted(key), quoted(value))), Ok(true));
                    prop_assert_eq!(picks(quoted(key)), Ok(true));
                    prop_assert_eq!(key.trim(), key);
                    prop_assert_eq!(value.trim(), value);
                }
            } else {
                // The rule refuses nothing but what it names.
                let named = [" :", ": ", " =", "= "].iter().any(|beside| text.contains(beside));
                prop_assert!(named || text.starts_with('=') || Label::new(text.as_str()).is_err(), "{}", text);
            }
        }
    }

    #[test]
    fn urls_have_no_user_and_no_password() {
        for good in ["https://a.example/@me?to=a@b", "http://[::1]:8080/"] {
            assert!(HttpUrl::new(good).is_ok(), "{good}");
        }
        for bad in [
            "https://user:word@a.example/",
            "https://user@a.example",
            "https://:word@a.example/x",
            "https://@a.example/",
        ] {
            let rule = HttpUrl::new(bad).unwrap_err();
            assert!(rule.contains("auth"), "{bad}: {rule}");
        }
    }

    #[test]
    fn lengths_count_characters() {
        assert!(Name::new("ü".repeat(120)).is_ok());
        assert_eq!(
            Name::new("ü".repeat(121)).unwrap_err(),
            "must have 1 to 120 characters"
        );
    }
}
