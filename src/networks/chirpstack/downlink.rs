//! ChirpStack, version 4: the device queue of its REST API, and the command of its broker.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::broker::BrokerUplinks;
use crate::{
    mqtt::Publication,
    networks::downlink::{
        BASE_URL, DownlinkNetwork, Handover, Implied, Parcel, Taken, bearer, below,
        no_question_to_broker, topic_level,
    },
    outgoing::{Request, TlsSettings},
    secret::{Address, Credentials},
};

const AUTHORIZATION: &str = "Grpc-Metadata-Authorization";

/// Where its REST API is. Its secret is `api_token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downlinks {
    /// Such as `https://chirpstack.example.com:8090`.
    pub base_url: String,
    /// TLS with the server, where it is not as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

impl Downlinks {
    /// The name of its secret.
    pub const SECRET: &str = "api_token";

    /// Enqueues a downlink.
    pub fn request(&self, secrets: &Credentials, parcel: &Parcel) -> Result<Request, String> {
        let url = self.queue(&parcel.network_device_id)?;
        let body = json!({"queueItem": item(parcel)});
        Ok(Request::post(url, body).with(AUTHORIZATION, bearer(secrets, Self::SECRET)))
    }

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

    fn handover(&self, secrets: &Credentials, parcel: &Parcel) -> Result<Handover, String> {
        self.request(secrets, parcel).map(Handover::Call)
    }

    /// Asks for a device's queue.
    fn probe(&self, secrets: &Credentials, device: Option<&str>) -> Result<Request, String> {
        let device = device.ok_or("the connection has no device whose queue to ask for")?;
        Ok(Request::get(self.queue(device)?).with(AUTHORIZATION, bearer(secrets, Self::SECRET)))
    }

    /// The answer holds the id of the queue's item, by which later messages name it.
    fn read_answer(&self, _: &Parcel, body: &Value) -> Result<Taken, String> {
        Ok(Taken {
            reference: body["id"].as_str().map(str::to_owned),
        })
    }

    fn secret_address() -> Address {
        BASE_URL
    }
}

/// The command of its MQTT integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerDownlinks {
    /// The application, where it is not learned from uplinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
}

impl BrokerDownlinks {
    /// The item of the queue gets the downlink's own id, by which later messages name it.
    pub fn publication(&self, parcel: &Parcel) -> Result<Publication, String> {
        let application = self
            .application_id
            .as_ref()
            .or(parcel.names.application.as_ref())
            .ok_or("the application's id is not known: set the connection's application_id, or wait for an uplink")?;
        let application = topic_level("the application's id", application)?;
        let device = parcel.network_device_id.to_ascii_lowercase();
        let device = topic_level("the device's id", &device)?;
        let topic = format!("application/{application}/device/{device}/command/down");
        let mut command = item(parcel);
        command["id"] = parcel.id.to_string().into();
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

    fn handover(&self, _: &Credentials, parcel: &Parcel) -> Result<Handover, String> {
        self.publication(parcel).map(Handover::Publish)
    }

    fn probe(&self, _: &Credentials, _: Option<&str>) -> Result<Request, String> {
        no_question_to_broker()
    }

    /// Under which id it has the downlink.
    fn read_answer(&self, parcel: &Parcel, _: &Value) -> Result<Taken, String> {
        Ok(Taken {
            reference: Some(parcel.id.to_string()),
        })
    }
}

/// What goes into the device's queue.
fn item(parcel: &Parcel) -> Value {
    json!({
        "confirmed": parcel.confirmed,
        "data": STANDARD.encode(&parcel.payload),
        "fPort": parcel.f_port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::downlink::parcel;

    #[test]
    fn a_downlink_is_enqueued() {
        let network = Downlinks {
            base_url: "http://cs.example.com:8090/sub".to_owned(),
            tls: None,
        };
        let secrets = Credentials::default().with("api_token", "t");
        let request = network.request(&secrets, &parcel()).unwrap();
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
            .read_answer(&parcel(), &json!({"id": "b6a"}))
            .unwrap();
        assert_eq!(taken.reference.as_deref(), Some("b6a"));
    }
}
