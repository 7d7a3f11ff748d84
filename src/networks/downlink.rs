//! How each network server wants a downlink: pure, a downlink in, a request or a message out.

use url::Url;
use uuid::Uuid;

use crate::{
    clock::Time, mqtt::Publication, networks::Names, outgoing::Request, secret::Credentials,
    store::downlinks::Priority,
};

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
