//! Interface of the adapters for downlinks. They are pure: they convert a downlink to a request or a
//! message.

use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::event::Names;
use crate::{
    clock::Time,
    mqtt::Publication,
    outgoing::{Request, TlsSettings},
    secret::{Address, Credentials, NOWHERE, Part},
    store::downlinks::Priority,
};

/// Prefix of the hub's downlink ids in correlation fields. It distinguishes the hub's downlinks from
/// those of other applications.
pub const CORRELATION_PREFIX: &str = "thingshub:downlink:";

/// Maximum payload over LoRaWAN, in bytes.
const LORAWAN_BYTES_MAX: usize = 242;
/// Setting whose address may receive the secret, for network servers with a base URL.
pub const BASE_URL: Address = &[Part::at("/base_url")];
/// Setting whose address may receive the secret, for network servers with a single URL.
pub const URL: Address = &[Part::at("/url")];

/// A downlink with the data of its device.
#[derive(Clone, Debug)]
pub struct OutgoingDownlink {
    /// Id of the downlink.
    pub id: Uuid,
    /// Id of the device in the network, such as its DevEUI.
    pub network_device_id: String,
    /// Names of the device in the network server, as of its last uplink.
    pub names: Names,
    /// Payload to send.
    pub payload: Vec<u8>,
    /// LoRaWAN port.
    pub f_port: u8,
    /// True if the device must acknowledge the downlink.
    pub confirmed: bool,
    /// Priority in the network server's queue.
    pub priority: Priority,
    /// Time after which the downlink must not be sent any more.
    pub expires_at: Option<Time>,
    /// Current time.
    pub now: Time,
}

/// Request or message that sends a downlink to the network server.
#[derive(Debug)]
pub enum Handover {
    /// A request to the network server.
    Call(Request),
    /// A message to the connection's broker.
    Publish(Publication),
}

/// Network server's answer to an accepted downlink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Id of the downlink in the network server.
    pub reference: Option<String>,
}

/// Settings for sending downlinks to one type of network server. LoRaWAN network servers with an HTTP
/// API only need `url`, `handover` and `probe`.
pub trait DownlinkNetwork: Send + Sync {
    /// Validates the settings. The error names the field and the rule.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// TLS settings, if they differ from the default.
    fn tls(&self) -> Option<&TlsSettings> {
        None
    }

    /// URL of the server; empty if the hub does not call it.
    fn url(&self) -> &str {
        ""
    }

    /// True if downlinks are published to the connection's broker.
    fn is_published(&self) -> bool {
        false
    }

    /// True if the hub sends downlinks by itself; false if it waits for the network server to request them.
    fn is_pushed(&self) -> bool {
        true
    }

    /// Checks that the network can carry a payload. The error is the rule.
    fn check_payload(&self, payload: &[u8]) -> Result<(), String> {
        match payload.len() > LORAWAN_BYTES_MAX {
            true => Err(format!(
                "must have at most {LORAWAN_BYTES_MAX} bytes over LoRaWAN"
            )),
            false => Ok(()),
        }
    }

    /// Returns the request or message for a downlink. The error says why it cannot be sent yet.
    fn handover(
        &self,
        secrets: &Credentials,
        downlink: &OutgoingDownlink,
    ) -> Result<Handover, String>;

    /// Returns a request that changes nothing and needs the same credentials as a downlink. `device` is the
    /// network's id of any device. The error says why there is no such request.
    fn probe(&self, secrets: &Credentials, device: Option<&str>) -> Result<Request, String>;

    /// Checks the body of a successful response to the probe.
    fn read_probe(&self, _body: &Value) -> Result<(), String> {
        Ok(())
    }

    /// Reads the body of a successful response; it is null for a broker.
    fn read_answer(&self, _downlink: &OutgoingDownlink, _body: &Value) -> Result<Taken, String> {
        Ok(Taken::default())
    }

    /// Setting that holds the address to which the secret is sent.
    fn secret_address() -> Address
    where
        Self: Sized,
    {
        NOWHERE
    }
}

/// Downlink settings that can be derived from the settings of the connection.
pub trait Implied<U>: Sized {
    /// Returns the settings for a connection, or `None` if they cannot be derived from it.
    fn implied_by(connection: &U) -> Option<Self>;
}

/// Returns the error for probing a connection that sends downlinks through its broker.
pub fn broker_cannot_be_probed() -> Result<Request, String> {
    Err(
        "the hub publishes downlinks to the connection's broker, and tests it for uplinks"
            .to_owned(),
    )
}

/// Returns the value of the `Authorization` header with a secret.
pub fn bearer(secrets: &Credentials, name: &str) -> String {
    format!("Bearer {}", secrets.get(name).unwrap_or_default())
}

/// Appends path segments to a base URL and escapes them.
pub fn below(base: &str, parts: &[&str]) -> Result<Url, String> {
    // `Url` would drop these segments, and the request would address something else.
    if let Some(dots) = parts.iter().find(|part| matches!(**part, "" | "." | "..")) {
        return Err(format!("\"{dots}\" cannot be a segment of a URL's path"));
    }
    let mut url: Url = base.parse().map_err(|_| "the URL is invalid".to_owned())?;
    {
        let mut path = url
            .path_segments_mut()
            .map_err(|()| "the URL has no path")?;
        path.pop_if_empty().extend(parts);
    }
    Ok(url)
}

/// Returns a value if an MQTT topic level can contain it. Separators or wildcards would address
/// another device.
pub fn topic_level<'a>(name: &str, value: &'a str) -> Result<&'a str, String> {
    match value.contains(['/', '+', '#', '\0']) {
        true => Err(format!(
            "{name} cannot be part of a topic, because its value contains a slash or a wildcard"
        )),
        false => Ok(value),
    }
}

#[cfg(test)]
impl Handover {
    /// Returns the request of a network server with an HTTP API.
    pub fn into_request(self) -> Request {
        match self {
            Self::Call(request) => request,
            Self::Publish(publication) => panic!("{publication:?} is no request"),
        }
    }
}

/// Example downlink for tests.
#[cfg(test)]
pub fn example_downlink() -> OutgoingDownlink {
    OutgoingDownlink {
        id: "0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11".parse().unwrap(),
        network_device_id: "70B3D57ED0012345".to_owned(),
        names: Names {
            device: Some("dev 1".to_owned()),
            application: Some("app1".to_owned()),
            tenant: Some("ttn".to_owned()),
        },
        payload: vec![0xbe, 0xef],
        f_port: 15,
        confirmed: true,
        priority: Priority::Normal,
        expires_at: "2026-01-31T12:30:00Z".parse().ok(),
        now: "2026-01-31T12:00:00.123456Z".parse().unwrap(),
    }
}
