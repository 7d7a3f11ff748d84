//! The Things Stack v3 downlinks: the queue operations of a webhook, and those over MQTT.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::broker::BrokerUplinks;
use crate::{
    mqtt::Publication,
    networks::downlink::{
        BASE_URL, CORRELATION_PREFIX, DownlinkNetwork, Handover, Implied, OutgoingDownlink, bearer,
        below, broker_cannot_be_probed, topic_level,
    },
    outgoing::{Request, TlsSettings},
    secret::{Address, Credentials},
    store::downlinks::Priority,
};

/// Rights of an API key, each of which permits sending downlinks.
const RIGHTS: [&str; 3] = [
    "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE",
    "RIGHT_APPLICATION_ALL",
    "RIGHT_ALL",
];

/// Settings of the webhook's API. The secret is `api_key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downlinks {
    /// Base URL, such as `https://eu1.cloud.thethings.network`.
    pub base_url: String,
    /// Id of the webhook that sends the uplinks.
    pub webhook_id: String,
    /// Id of the application; taken from uplinks by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
    /// TLS settings, if they differ from the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

impl Downlinks {
    /// Name of the secret.
    pub const SECRET: &str = "api_key";
}

impl DownlinkNetwork for Downlinks {
    fn tls(&self) -> Option<&TlsSettings> {
        self.tls.as_ref()
    }

    fn url(&self) -> &str {
        &self.base_url
    }

    /// Returns the request that queues a downlink. The stack's own ids of device and application are taken
    /// from the last uplink.
    fn handover(
        &self,
        secrets: &Credentials,
        downlink: &OutgoingDownlink,
    ) -> Result<Handover, String> {
        let application = self
            .application_id
            .as_ref()
            .or(downlink.names.application.as_ref())
            .ok_or(
                "the application's id is not known: set application_id, or wait for an uplink",
            )?;
        let device = device(downlink)?;
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
        let request = Request::post(url, pushed(downlink));
        Ok(Handover::Call(
            request.with("Authorization", bearer(secrets, Self::SECRET)),
        ))
    }

    fn probe(&self, secrets: &Credentials, _: Option<&str>) -> Result<Request, String> {
        let url = below(&self.base_url, &["api", "v3", "auth_info"])?;
        Ok(Request::get(url).with("Authorization", bearer(secrets, Self::SECRET)))
    }

    /// Checks the rights of the API key: a valid key may not permit downlinks.
    fn read_probe(&self, body: &Value) -> Result<(), String> {
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

    fn secret_address() -> Address {
        BASE_URL
    }
}

/// Settings of downlinks over MQTT. The credentials for reading uplinks permit them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerDownlinks {
    /// Application with its tenant, such as `my-app@ttn`; this is the broker's user.
    pub application: String,
}

impl BrokerDownlinks {
    /// Returns the message that queues a downlink. The stack's own id of the device is taken from the last
    /// uplink.
    pub fn publication(&self, downlink: &OutgoingDownlink) -> Result<Publication, String> {
        let application = &self.application;
        let device = topic_level("the device's id", device(downlink)?)?;
        let topic = format!("v3/{application}/devices/{device}/down/push");
        Ok(Publication::json(topic, &pushed(downlink)))
    }
}

impl Implied<BrokerUplinks> for BrokerDownlinks {
    fn implied_by(connection: &BrokerUplinks) -> Option<Self> {
        let application = connection.broker.username.clone()?;
        Some(Self { application })
    }
}

impl DownlinkNetwork for BrokerDownlinks {
    fn is_published(&self) -> bool {
        true
    }

    fn handover(&self, _: &Credentials, downlink: &OutgoingDownlink) -> Result<Handover, String> {
        self.publication(downlink).map(Handover::Publish)
    }

    fn probe(&self, _: &Credentials, _: Option<&str>) -> Result<Request, String> {
        broker_cannot_be_probed()
    }
}

/// Returns the stack's own id of the device.
fn device(downlink: &OutgoingDownlink) -> Result<&str, String> {
    let device = downlink.names.device.as_deref();
    let why = "the device's id in The Things Stack is not known before its first uplink";
    device.ok_or_else(|| why.to_owned())
}

/// Returns the body that adds a downlink to the device's queue.
fn pushed(downlink: &OutgoingDownlink) -> Value {
    let priority = match downlink.priority {
        Priority::Low => "LOW",
        Priority::Normal => "NORMAL",
        Priority::High => "HIGH",
    };
    json!({"downlinks": [{
        "frm_payload": STANDARD.encode(&downlink.payload),
        "f_port": downlink.f_port,
        "confirmed": downlink.confirmed,
        "priority": priority,
        "correlation_ids": [format!("{CORRELATION_PREFIX}{}", downlink.id)],
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::downlink::example_downlink;

    #[test]
    fn a_downlink_is_pushed_over_the_webhook() {
        let stack = Downlinks {
            base_url: "https://stack.example.com/".to_owned(),
            webhook_id: "hub".to_owned(),
            application_id: None,
            tls: None,
        };
        let secrets = Credentials::default().with("api_key", "NNSXS.X");
        let request = stack
            .handover(&secrets, &example_downlink())
            .unwrap()
            .into_request();
        assert_eq!(
            request.url.as_str(),
            "https://stack.example.com/api/v3/as/applications/app1/webhooks/hub/devices/dev%201/down/push"
        );
        assert_eq!(request.headers[1].1, "Bearer NNSXS.X");
        assert_eq!(
            serde_json::from_str::<Value>(&request.body).unwrap(),
            json!({"downlinks": [{"frm_payload": "vu8=", "f_port": 15, "confirmed": true,
                "priority": "NORMAL",
                "correlation_ids": ["thingshub:downlink:0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11"]}]})
        );
        let unheard = OutgoingDownlink {
            names: Default::default(),
            ..example_downlink()
        };
        let error = stack.handover(&secrets, &unheard).unwrap_err();
        assert!(error.contains("application_id"), "{error}");
        // The application that is set counts before the one that uplinks tell.
        let set = Downlinks {
            application_id: Some("own".to_owned()),
            ..stack
        };
        for (priority, name) in [
            (Priority::Low, "LOW"),
            (Priority::Normal, "NORMAL"),
            (Priority::High, "HIGH"),
        ] {
            let downlink = OutgoingDownlink {
                confirmed: false,
                priority,
                ..example_downlink()
            };
            let request = set.handover(&secrets, &downlink).unwrap().into_request();
            let path = request.url.path();
            assert!(
                path.starts_with("/api/v3/as/applications/own/webhooks/"),
                "{path}"
            );
            let body: Value = serde_json::from_str(&request.body).unwrap();
            let sent = &body["downlinks"][0];
            assert_eq!(
                (&sent["priority"], &sent["confirmed"]),
                (&json!(name), &json!(false))
            );
        }
    }
}
