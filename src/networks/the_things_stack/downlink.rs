//! The Things Stack, version 3: the downlink queue operations of a webhook, and those of its broker.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    mqtt::Publication,
    networks::{
        CORRELATION_PREFIX,
        downlink::{Parcel, bearer, below, topic_level},
    },
    outgoing::{Request, TlsSettings},
    secret::Credentials,
    store::downlinks::Priority,
};

/// Rights of which one lets a key push downlinks.
const RIGHTS: [&str; 3] = [
    "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE",
    "RIGHT_APPLICATION_ALL",
    "RIGHT_ALL",
];

/// Where the stack is. Its secret is `api_key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TheThingsStack {
    /// Such as `https://eu1.cloud.thethings.network`.
    pub base_url: String,
    /// The webhook over which the uplinks come.
    pub webhook_id: String,
    /// The application, where it is not learned from the uplinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
    /// TLS with the server, where it is not as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

impl TheThingsStack {
    /// The name of its secret.
    pub const SECRET: &str = "api_key";

    /// The stack's own ids of device and application are learned from uplinks.
    pub fn request(&self, secrets: &Credentials, parcel: &Parcel) -> Result<Request, String> {
        let application = self
            .application_id
            .as_ref()
            .or(parcel.names.application.as_ref())
            .ok_or(
                "the application's id is not known: set application_id, or wait for an uplink",
            )?;
        let device = device(parcel)?;
        let url = below(
            &self.base_url,
            &[
                "api",
                "v3",
                "as",
                "applications",
                application,
                "webhooks",
                &self.webhook_id,
                "devices",
                device,
                "down",
                "push",
            ],
        )?;
        Ok(Request::post(url, pushed(parcel)).with("Authorization", bearer(secrets, Self::SECRET)))
    }

    /// Asks what the key may do.
    pub fn probe(&self, secrets: &Credentials) -> Result<Request, String> {
        let url = below(&self.base_url, &["api", "v3", "auth_info"])?;
        Ok(Request::get(url).with("Authorization", bearer(secrets, Self::SECRET)))
    }

    /// A key that is known may still not be one for downlinks.
    pub fn read_probe(body: &Value) -> Result<(), String> {
        let Some(rights) = body["api_key"]["api_key"]["rights"].as_array() else {
            return Ok(());
        };
        let suffices = |right: &Value| right.as_str().is_some_and(|right| RIGHTS.contains(&right));
        if rights.iter().any(suffices) {
            Ok(())
        } else {
            Err("the API key lacks the right to write downlink application traffic".to_owned())
        }
    }
}

/// The queue operation of its broker, which lets in who may read the application's uplinks there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TheThingsStackMqtt {
    /// The application with its tenant, such as `my-app@ttn`: the broker's user.
    pub application: String,
}

impl TheThingsStackMqtt {
    /// The stack's own id of the device is learned from uplinks.
    pub fn publication(&self, parcel: &Parcel) -> Result<Publication, String> {
        let application = &self.application;
        let device = topic_level("the device's id", device(parcel)?)?;
        let topic = format!("v3/{application}/devices/{device}/down/push");
        Ok(Publication::json(topic, &pushed(parcel)))
    }
}

/// The stack's own id of the device.
fn device(parcel: &Parcel) -> Result<&str, String> {
    let device = parcel.names.device.as_deref();
    let why = "the device's id in The Things Stack is not known before its first uplink";
    device.ok_or_else(|| why.to_owned())
}

/// One more item for the device's queue.
fn pushed(parcel: &Parcel) -> Value {
    let priority = match parcel.priority {
        Priority::Low => "LOW",
        Priority::Normal => "NORMAL",
        Priority::High => "HIGH",
    };
    json!({"downlinks": [{
        "frm_payload": STANDARD.encode(&parcel.payload),
        "f_port": parcel.f_port,
        "confirmed": parcel.confirmed,
        "priority": priority,
        "correlation_ids": [format!("{CORRELATION_PREFIX}{}", parcel.id)],
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::downlink::parcel;

    #[test]
    fn a_downlink_is_pushed_over_the_webhook() {
        let stack = TheThingsStack {
            base_url: "https://stack.example.com/".to_owned(),
            webhook_id: "hub".to_owned(),
            application_id: None,
            tls: None,
        };
        let secrets = Credentials::default().with("api_key", "NNSXS.X");
        let request = stack.request(&secrets, &parcel()).unwrap();
        assert_eq!(
            request.url.as_str(),
            "https://stack.example.com/api/v3/as/applications/app1/webhooks/hub/devices/dev%201/down/push"
        );
        assert_eq!(request.headers[1].1, "Bearer NNSXS.X");
        assert_eq!(
            request.json(),
            json!({"downlinks": [{"frm_payload": "vu8=", "f_port": 15, "confirmed": true,
                "priority": "NORMAL",
                "correlation_ids": ["thingshub:downlink:0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11"]}]})
        );
        let unheard = Parcel {
            names: Default::default(),
            ..parcel()
        };
        let error = stack.request(&secrets, &unheard).unwrap_err();
        assert!(error.contains("application_id"), "{error}");
    }
}
