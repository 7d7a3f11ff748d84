//! ChirpStack, version 4: the device queue of its REST API, and the command of its broker.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::{
    mqtt::Publication,
    networks::downlink::{Parcel, Taken, bearer, below, topic_level},
    outgoing::{Request, TlsSettings},
    secret::Credentials,
};

const AUTHORIZATION: &str = "Grpc-Metadata-Authorization";

/// Where its REST API is. Its secret is `api_token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChirpStack {
    /// Such as `https://chirpstack.example.com:8090`.
    pub base_url: String,
    /// TLS with the server, where it is not as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

impl ChirpStack {
    /// The name of its secret.
    pub const SECRET: &str = "api_token";

    /// Enqueues a downlink.
    pub fn request(&self, secrets: &Credentials, parcel: &Parcel) -> Result<Request, String> {
        let url = self.queue(&parcel.network_device_id)?;
        let body = json!({"queueItem": item(parcel)});
        Ok(Request::post(url, body).with(AUTHORIZATION, bearer(secrets, Self::SECRET)))
    }

    /// Asks for a device's queue.
    pub fn probe(&self, secrets: &Credentials, device: &str) -> Result<Request, String> {
        Ok(Request::get(self.queue(device)?).with(AUTHORIZATION, bearer(secrets, Self::SECRET)))
    }

    fn queue(&self, device: &str) -> Result<Url, String> {
        let device = device.to_ascii_lowercase();
        below(&self.base_url, &["api", "devices", &device, "queue"])
    }

    /// The answer holds the id of the queue's item, by which later messages name it.
    pub fn read_answer(body: &Value) -> Taken {
        Taken {
            reference: body["id"].as_str().map(str::to_owned),
        }
    }
}

/// The command of its MQTT integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChirpStackMqtt {
    /// The application, where it is not learned from uplinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_id: Option<String>,
}

impl ChirpStackMqtt {
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

    /// Under which id it has the downlink.
    pub fn taken(parcel: &Parcel) -> Taken {
        Taken {
            reference: Some(parcel.id.to_string()),
        }
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
        let network = ChirpStack {
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
            request.json(),
            json!({"queueItem": {"confirmed": true, "data": "vu8=", "fPort": 15}})
        );
        let taken = ChirpStack::read_answer(&json!({"id": "b6a"}));
        assert_eq!(taken.reference.as_deref(), Some("b6a"));
    }
}
