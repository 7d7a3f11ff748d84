//! What every adapter does with downlinks: pure, a downlink in, a request or a message out.

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

/// What the hub's id of a downlink starts with where it is sent along, so that the network server's
/// news of it can be told from those of others.
pub const CORRELATION_PREFIX: &str = "thingshub:downlink:";

/// The longest payload that LoRaWAN carries, in bytes.
const LORAWAN_BYTES_MAX: usize = 242;
/// The address of secrets, where a network server's interface has a base.
pub const BASE_URL: Address = &[Part::at("/base_url")];
/// The address of secrets, where it has one address.
pub const URL: Address = &[Part::at("/url")];

/// A downlink, and what is known of its device.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The downlink's id.
    pub id: Uuid,
    /// The device's id in the network, such as its DevEUI.
    pub network_device_id: String,
    /// What the network server called the device when it was last heard.
    pub names: Names,
    /// What to send.
    pub payload: Vec<u8>,
    /// LoRaWAN port.
    pub f_port: u8,
    /// Whether the device is to confirm it.
    pub confirmed: bool,
    /// What goes first.
    pub priority: Priority,
    /// When it is no longer worth sending.
    pub expires_at: Option<Time>,
    /// Now.
    pub now: Time,
}

/// What hands a downlink over.
#[derive(Debug)]
pub enum Handover {
    /// A request to the network server.
    Call(Request),
    /// A message to the connection's broker.
    Publish(Publication),
}

/// What a network server said when it took a downlink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Its own id of the downlink.
    pub reference: Option<String>,
}

/// How one kind of network server takes downlinks. Settings of LoRaWAN network servers that are called need
/// no more than their address, the request and the question.
pub trait DownlinkNetwork: Send + Sync {
    /// Whether the settings can be right; the error names the field and the rule.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// TLS with the server, where it is not as usual.
    fn tls(&self) -> Option<&TlsSettings> {
        None
    }

    /// Where the server is, if it is called.
    fn url(&self) -> &str {
        ""
    }

    /// Whether the connection's broker takes them.
    fn is_published(&self) -> bool {
        false
    }

    /// Whether the hub sends by itself; else it waits to be asked.
    fn is_pushed(&self) -> bool {
        true
    }

    /// Whether the network carries a payload; the rule, if not.
    fn check_payload(&self, payload: &[u8]) -> Result<(), String> {
        match payload.len() > LORAWAN_BYTES_MAX {
            true => Err(format!(
                "must have at most {LORAWAN_BYTES_MAX} bytes over LoRaWAN"
            )),
            false => Ok(()),
        }
    }

    /// What hands a downlink over; why nothing does yet, for a person.
    fn handover(&self, secrets: &Credentials, parcel: &Parcel) -> Result<Handover, String>;

    /// A question that changes nothing and needs the same credentials as a downlink; `device` is the
    /// network's id of any device. Why there is none, for a person.
    fn probe(&self, secrets: &Credentials, device: Option<&str>) -> Result<Request, String>;

    /// What a good answer to the question means.
    fn read_probe(&self, _body: &Value) -> Result<(), String> {
        Ok(())
    }

    /// What an answer with a good status means; a broker's is empty.
    fn read_answer(&self, _parcel: &Parcel, _body: &Value) -> Result<Taken, String> {
        Ok(Taken::default())
    }

    /// Where the secret of the settings is sent.
    fn secret_address() -> Address
    where
        Self: Sized,
    {
        NOWHERE
    }
}

/// Settings that need not be made, as those of the connection tell all that must be known.
pub trait Implied<U>: Sized {
    /// Those of a connection; `None`: it does not tell enough.
    fn implied_by(connection: &U) -> Option<Self>;
}

/// Why a connection's broker cannot be asked.
pub fn no_question_to_broker() -> Result<Request, String> {
    Err("downlinks go to the broker from which the uplinks come".to_owned())
}

/// The header that shows a secret.
pub fn bearer(secrets: &Credentials, name: &str) -> String {
    format!("Bearer {}", secrets.get(name).unwrap_or_default())
}

/// A URL below a base, from parts that are escaped as they need.
pub fn below(base: &str, parts: &[&str]) -> Result<Url, String> {
    // They would be left out, and the request would be one for something else.
    if let Some(dots) = parts.iter().find(|part| matches!(**part, "" | "." | "..")) {
        return Err(format!("\"{dots}\" cannot stand in the path of a URL"));
    }
    let mut url: Url = base.parse().map_err(|_| "the URL is not one".to_owned())?;
    {
        let mut path = url
            .path_segments_mut()
            .map_err(|()| "the URL has no path")?;
        path.pop_if_empty().extend(parts);
    }
    Ok(url)
}

/// A value as one level of an MQTT topic: with another character it would be the topic of another device.
pub fn topic_level<'a>(name: &str, value: &'a str) -> Result<&'a str, String> {
    match value.contains(['/', '+', '#', '\0']) {
        true => Err(format!(
            "{name} cannot stand in a topic: it has a slash or a wildcard"
        )),
        false => Ok(value),
    }
}

/// A parcel for the tests of the networks.
#[cfg(test)]
pub fn parcel() -> Parcel {
    Parcel {
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
