//! The settings of a connection to a broker: the part stored in plain text, the secret part, and the rules
//! of both.

use base::clock;
use rumqttc::QoS;
use serde::{Deserialize, Serialize};
use url::Url;

use super::sas;
use crate::outgoing::Tls;
pub use crate::outgoing::tls::{Broken, CLIENT_KEY};

/// Name of the user's password in the credentials.
pub const PASSWORD: &str = "password";
/// Name of Azure IoT Hub's key in the credentials.
pub const SHARED_ACCESS_KEY: &str = "shared_access_key";
/// Version of Azure IoT Hub's API.
const AZURE_API_VERSION: &str = "2021-04-12";
/// Lifetime of a shared access signature, in seconds; each connection gets a new one.
const SIGNATURE_S: i64 = 24 * 3600;
/// Maximum length of a topic or filter, in bytes; MQTT allows 65,535, brokers much less.
pub const TOPIC_MAX_BYTES: usize = 1024;

/// A broker, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerSettings {
    /// `mqtt://`, `mqtts://`, `ws://` or `wss://`, host, port and, for WebSocket, path.
    pub url: String,
    /// The client id of the hub; one is made by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Keep-alive interval, in seconds.
    pub keep_alive_s: u16,
    /// Certificates, in PEM, of which one must have signed the broker's; the system's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The hub's own certificate with its chain, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// The protocol that TLS negotiates, such as `x-amzn-mqtt-ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// The message that the broker publishes when the hub is gone without a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_will: Option<LastWill>,
    /// The policy whose key `shared_access_key` is; none for a device's own key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_access_policy: Option<String>,
}

/// The message that the broker publishes when the hub is gone without a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastWill {
    /// Topic of the message.
    pub topic: String,
    /// The payload.
    pub payload: String,
    /// 0, 1 or 2.
    pub qos: u8,
    /// True if the broker is to keep it for later subscribers.
    pub retain: bool,
}

/// The secret part.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BrokerCredentials {
    /// The user's password.
    pub password: Option<String>,
    /// The key of the client certificate, in PEM.
    pub client_key: Option<String>,
    /// The key, in base64, from which a password is made for each connection to Azure IoT Hub.
    pub shared_access_key: Option<String>,
}

impl BrokerCredentials {
    /// Reads the secrets from credentials, by their names.
    pub fn read<'a>(secret: impl Fn(&str) -> Option<&'a str>) -> Self {
        let owned = |name| secret(name).map(str::to_owned);
        Self {
            password: owned(PASSWORD),
            client_key: owned(CLIENT_KEY),
            shared_access_key: owned(SHARED_ACCESS_KEY),
        }
    }
}

fn broken(field: &'static str, rule: impl Into<String>) -> Broken {
    Broken {
        field,
        rule: rule.into(),
    }
}

/// A broker with all that a connection needs.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    pub(super) url: Url,
    pub(super) settings: BrokerSettings,
    pub(super) credentials: BrokerCredentials,
    pub(super) client_id: String,
}

impl Broker {
    /// Combines settings and secrets; `client_id` is used if the settings name none. If it is empty, the
    /// caller of the connection can choose one.
    ///
    /// # Errors
    /// Fails with the first broken rule.
    pub fn new(
        settings: BrokerSettings,
        credentials: BrokerCredentials,
        client_id: &str,
    ) -> Result<Self, Broken> {
        settings.check(&credentials)?;
        Ok(Self {
            url: settings.parse_url()?,
            client_id: settings.client_id.clone().unwrap_or(client_id.to_owned()),
            settings,
            credentials,
        })
    }

    /// Returns the broker with another client id, for a second connection at the same time.
    #[must_use]
    pub fn as_client(&self, client_id: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the broker for a second connection at the same time: without a client id, so that the caller
    /// chooses one, and without a last will, which belongs to the first connection.
    #[must_use]
    pub fn beside(&self) -> Self {
        let mut beside = self.as_client("");
        beside.settings.client_id = None;
        beside.settings.last_will = None;
        beside
    }

    /// The broker's URL.
    pub fn address(&self) -> &Url {
        &self.url
    }

    /// The client id of the hub.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns whether the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.url.scheme(), "mqtts" | "wss")
    }

    /// Returns whether the connection is a WebSocket.
    pub(super) fn is_web_socket(&self) -> bool {
        matches!(self.url.scheme(), "ws" | "wss")
    }

    /// Returns the port; the default of the scheme if the URL has none.
    pub(super) fn port(&self) -> u16 {
        self.url.port().unwrap_or(match self.url.scheme() {
            "mqtt" => 1883,
            "mqtts" => 8883,
            "ws" => 80,
            _ => 443,
        })
    }

    /// Returns username and password for one connection.
    pub(super) fn login(&self) -> Option<(String, String)> {
        let BrokerCredentials {
            password,
            shared_access_key,
            ..
        } = &self.credentials;
        let username = self.settings.username.clone();
        let Some(key) = shared_access_key else {
            return Some((username?, password.clone().unwrap_or_default()));
        };
        let host = self.url.host_str()?;
        let client = &self.client_id;
        let expires = clock::now().timestamp() + SIGNATURE_S;
        let policy = self.settings.shared_access_policy.as_deref();
        let token = sas::token(&format!("{host}/devices/{client}"), key, policy, expires)?;
        let username =
            username.unwrap_or_else(|| format!("{host}/{client}/?api-version={AZURE_API_VERSION}"));
        Some((username, token))
    }
}

impl BrokerSettings {
    /// Checks the settings together with these credentials; credentials that are already stored may be
    /// omitted.
    ///
    /// # Errors
    /// Fails with the first broken rule.
    pub fn check(&self, credentials: &BrokerCredentials) -> Result<(), Broken> {
        let url = self.parse_url()?;
        let is_encrypted = matches!(url.scheme(), "mqtts" | "wss");
        let for_tls = [
            ("ca", self.ca.is_some()),
            ("client_certificate", self.client_certificate.is_some()),
            ("alpn", self.alpn.is_some()),
            ("shared_access_key", credentials.shared_access_key.is_some()),
        ];
        if let Some((field, _)) = for_tls.iter().find(|(_, given)| *given && !is_encrypted) {
            return Err(broken(
                field,
                "needs a URL that starts with mqtts:// or wss://",
            ));
        }
        self.tls(credentials).check()?;
        self.check_login(credentials)?;
        match &self.last_will {
            None => Ok(()),
            Some(will) if will.qos > 2 => Err(broken("last_will.qos", "must be 0, 1 or 2")),
            Some(will) => check_topic(&will.topic).map_err(|rule| broken("last_will.topic", rule)),
        }
    }

    /// The settings of TLS.
    pub(super) fn tls<'a>(&'a self, credentials: &'a BrokerCredentials) -> Tls<'a> {
        Tls {
            ca: self.ca.as_deref(),
            client_certificate: self.client_certificate.as_deref(),
            client_key: credentials.client_key.as_deref(),
        }
    }

    fn check_login(&self, credentials: &BrokerCredentials) -> Result<(), Broken> {
        let BrokerCredentials {
            password,
            client_key: _,
            shared_access_key,
        } = credentials;
        if password.is_some() && shared_access_key.is_some() {
            return Err(broken("password", "goes without shared_access_key"));
        }
        if password.is_some() && self.username.is_none() {
            return Err(broken("username", "belongs to password"));
        }
        match shared_access_key {
            None => Ok(()),
            Some(_) if self.client_id.is_none() => Err(broken(
                "client_id",
                "belongs to shared_access_key: it is the device's id in Azure IoT Hub",
            )),
            Some(key) => match sas::token("", key, None, 0) {
                Some(_) => Ok(()),
                None => Err(broken("shared_access_key", "must be base64")),
            },
        }
    }

    fn parse_url(&self) -> Result<Url, Broken> {
        let rule = "must start with mqtt://, mqtts://, ws:// or wss:// and name a host";
        let url = Url::parse(&self.url).map_err(|_| broken("url", rule))?;
        let is_web_socket = match url.scheme() {
            "mqtt" | "mqtts" => false,
            "ws" | "wss" => true,
            _ => return Err(broken("url", rule)),
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err(broken("url", rule));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(broken(
                "url",
                "must not hold a user or a password: they have fields of their own",
            ));
        }
        if url.fragment().is_some() {
            return Err(broken("url", "must not have a fragment"));
        }
        if !is_web_socket && (!matches!(url.path(), "" | "/") || url.query().is_some()) {
            return Err(broken(
                "url",
                "must not have a path or a query, except with ws:// and wss://",
            ));
        }
        Ok(url)
    }
}

/// Checks a topic to publish to; the error is the broken rule.
pub fn check_topic(topic: &str) -> Result<(), &'static str> {
    check_length(topic)?;
    if topic.contains(['+', '#']) {
        return Err("must not have the wildcards + and #");
    }
    Ok(())
}

/// Checks a filter to subscribe to; the error is the broken rule.
pub fn check_filter(filter: &str) -> Result<(), &'static str> {
    check_length(filter)?;
    if !rumqttc::valid_filter(filter) {
        return Err("must have + only as a whole level, and # only as the last one");
    }
    Ok(())
}

fn check_length(topic: &str) -> Result<(), &'static str> {
    if topic.is_empty() || topic.len() > TOPIC_MAX_BYTES || topic.contains(char::is_control) {
        return Err("must have 1 to 1024 bytes and no control characters");
    }
    Ok(())
}

/// Converts a number to a quality of service; 2 for larger numbers.
pub(super) fn quality(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> BrokerSettings {
        BrokerSettings {
            url: url.to_owned(),
            client_id: None,
            username: None,
            keep_alive_s: 30,
            ca: None,
            client_certificate: None,
            alpn: None,
            last_will: None,
            shared_access_policy: None,
        }
    }

    fn refusal(settings: &BrokerSettings, credentials: &BrokerCredentials) -> String {
        settings.check(credentials).unwrap_err().to_string()
    }

    #[test]
    fn urls_name_a_broker_and_nothing_else() {
        let none = BrokerCredentials::default();
        for (url, port) in [
            ("mqtt://broker", 1883),
            ("mqtts://broker.example.com/", 8883),
            ("mqtt://10.0.0.1:1884", 1884),
            ("ws://broker/mqtt", 80),
            ("wss://broker/mqtt?x=1", 443),
            ("mqtts://[2001:db8::1]", 8883),
        ] {
            let broker = Broker::new(settings(url), none.clone(), "id").unwrap();
            assert_eq!(broker.port(), port, "{url}");
        }
        for url in [
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt:broker",
            "mqtt://user@broker",
            "mqtt://user:password@broker",
            "mqtt://broker/path",
            "mqtt://broker?query",
            "mqtts://broker#part",
        ] {
            assert!(refusal(&settings(url), &none).starts_with("url: "), "{url}");
        }
    }

    #[test]
    fn what_belongs_together_comes_together() {
        let none = BrokerCredentials::default();
        let alpn = BrokerSettings {
            alpn: Some("x-amzn-mqtt-ca".to_owned()),
            ..settings("mqtt://b")
        };
        assert!(refusal(&alpn, &none).starts_with("alpn: needs a URL"));
        let ca = BrokerSettings {
            ca: Some("none".to_owned()),
            ..settings("mqtts://b")
        };
        assert!(refusal(&ca, &none).starts_with("ca: must be"));
        let password = BrokerCredentials {
            password: Some("p".to_owned()),
            ..none.clone()
        };
        assert!(refusal(&settings("mqtt://b"), &password).starts_with("username: "));
        let key = BrokerCredentials {
            client_key: Some("k".to_owned()),
            ..none.clone()
        };
        assert!(refusal(&settings("mqtts://b"), &key).starts_with("client_certificate: "));
        let shared = BrokerCredentials {
            shared_access_key: Some("a b".to_owned()),
            ..none
        };
        assert!(refusal(&settings("mqtts://b"), &shared).starts_with("client_id: "));
        let device = BrokerSettings {
            client_id: Some("d".to_owned()),
            ..settings("mqtts://b")
        };
        assert!(refusal(&device, &shared).starts_with("shared_access_key: must be base64"));
    }

    #[test]
    fn azure_gets_the_user_and_the_token_that_it_documents() {
        let device = BrokerSettings {
            client_id: Some("gateway-1".to_owned()),
            ..settings("mqtts://myhub.azure-devices.net")
        };
        let credentials = BrokerCredentials {
            shared_access_key: Some("c2VjcmV0".to_owned()),
            ..Default::default()
        };
        let (username, password) = Broker::new(device, credentials, "")
            .unwrap()
            .login()
            .unwrap();
        assert_eq!(
            username,
            "myhub.azure-devices.net/gateway-1/?api-version=2021-04-12"
        );
        let start = "SharedAccessSignature sr=myhub.azure-devices.net%2Fdevices%2Fgateway-1&sig=";
        assert!(password.starts_with(start), "{password}");
    }

    #[test]
    fn topics_and_filters_follow_the_standard() {
        for topic in ["a", "/a//b", "$aws/things/x", "ü/ b"] {
            assert_eq!(check_topic(topic), Ok(()), "{topic}");
        }
        for topic in ["", "a/+", "#", "a\0", &"x".repeat(1025)] {
            assert!(check_topic(topic).is_err(), "{topic}");
        }
        for filter in ["#", "+", "a/+/b/#", "/", "$share/g/a"] {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
        }
        for filter in ["", "a#", "a/#/b", "a+/b"] {
            assert!(check_filter(filter).is_err(), "{filter}");
        }
    }
}
