//! ChirpStack v4 downlinks: the device queue of the REST API, and the command topic of the MQTT
//! integration.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::broker::BrokerUplinks;
use crate::{
    mqtt::Publication,
    networks::downlink::{
        BASE_URL, DownlinkNetwork, Handover, Implied, OutgoingDownlink, Taken, bearer, below,
        broker_cannot_be_probed, topic_level,
    },
    outgoing::{Request, TlsSettings},
    secret::{Address, Credentials},
};

const AUTHORIZATION: &str = "Grpc-Metadata-Authorization";

/// Settings of the REST API. The secret is `api_token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downlinks {
    /// Base URL, such as `https://chirpstack.example.com:8090`.
    pub base_url: String,
    /// TLS settings, if they differ from the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

impl Downlinks {
    /// Name of the secret.
    pub const SECRET: &str = "api_token";

    fn queue(&self, device: &str) -> Result<Url, String> {
        let device = device.to_ascii_lowercase();
        below(&self.base_url, &["api", "devices", &device, "queue"])
    }
}

impl DownlinkNetwork for Downlinks {
    fn tls(&self) -> Option<&TlsSettings> {
        self.tls.as_ref()
    }

    fn url(&self) -> &str {
        &self.base_url
    }

    /// Returns the request that enqueues a downlink.
    fn handover(
        &self,
        secrets: &Credentials,
        downlink: &OutgoingDownlink,
    ) -> Result<Handover, String> {
        let url = self.queue(&downlink.network_device_id)?;
        let body = json!({"queueItem": item(downlink)});
        let request = Request::post(url, body);
        Ok(Handover::Call(
            request.with(AUTHORIZATION, bearer(secrets, Self::SECRET)),
        ))
    }

    /// Returns a request for a device's queue.
    fn probe(&self, secrets: &Credentials, device: Option<&str>) -> Result<Request, String> {
        let device = device.ok_or("the connection has no device whose queue to ask for")?;
        Ok(Request::get(self.queue(device)?).with(AUTHORIZATION, bearer(secrets, Self::SECRET)))
    }

    /// Returns the id of the queue item, by which later messages refer to the downlink.
    fn read_answer(&self, _: &OutgoingDownlink, body: &Value) -> Result<Taken, String> {
        Ok(Taken {
            reference: body["id"].as_str().map(str::to_owned),
        })
    }

    fn secret_address() -> Address {
        BASE_URL
    }
}

/// Settings of downlinks through the MQTT integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerDownlinks {
    /// Id of the application; taken from uplinks by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
}

impl BrokerDownlinks {
    /// Returns the message that enqueues a downlink. The queue item gets the downlink's id, by which later
    /// messages refer to it.
    pub fn publication(&self, downlink: &OutgoingDownlink) -> Result<Publication, String> {
        let application = self
            .application_id
            .as_ref()
            .or(downlink.names.application.as_ref())
            .ok_or("the application's id is not known: set the connection's application_id, or wait for an uplink")?;
        let application = topic_level("the application's id", application)?;
        let device = downlink.network_device_id.to_ascii_lowercase();
        let device = topic_level("the device's id", &device)?;
        let topic = format!("application/{application}/device/{device}/command/down");
        let mut command = item(downlink);
        command["id"] = downlink.id.to_string().into();
        command["devEui"] = device.into();
        Ok(Publication::json(topic, &command))
    }
}

impl Implied<BrokerUplinks> for BrokerDownlinks {
    fn implied_by(connection: &BrokerUplinks) -> Option<Self> {
        let application_id = connection.application_id.clone();
        Some(Self { application_id })
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

    /// Returns the id of the queue item, which is the downlink's id.
    fn read_answer(&self, downlink: &OutgoingDownlink, _: &Value) -> Result<Taken, String> {
        Ok(Taken {
            reference: Some(downlink.id.to_string()),
        })
    }
}

/// Returns the item for the device's queue.
fn item(downlink: &OutgoingDownlink) -> Value {
    json!({
        "confirmed": downlink.confirmed,
        "data": STANDARD.encode(&downlink.payload),
        "fPort": downlink.f_port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::downlink::example_downlink;

    #[test]
    fn a_downlink_is_enqueued() {
        let network = Downlinks {
            base_url: "http://cs.example.com:8090/sub".to_owned(),
            tls: None,
        };
        let secrets = Credentials::default().with("api_token", "t");
        let request = network
            .handover(&secrets, &example_downlink())
            .unwrap()
            .into_request();
        assert_eq!(
            request.url.as_str(),
            "http://cs.example.com:8090/sub/api/devices/70b3d57ed0012345/queue"
        );
        assert_eq!(
            request.headers[1],
            (
                "Grpc-Metadata-Authorization".to_owned(),
                "Bearer t".to_owned()
            )
        );
        assert_eq!(
            serde_json::from_str::<Value>(&request.body).unwrap(),
            json!({"queueItem": {"confirmed": true, "data": "vu8=", "fPort": 15}})
        );
        let taken = network
            .read_answer(&example_downlink(), &json!({"id": "b6a"}))
            .unwrap();
        assert_eq!(taken.reference.as_deref(), Some("b6a"));
    }
}
