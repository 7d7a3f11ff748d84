//! ChirpStack, version 4: the device queue of its REST API.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{Parcel, Taken, below};
use crate::{outgoing::Request, secret::Credentials};

const AUTHORIZATION: &str = "Grpc-Metadata-Authorization";

/// Where its REST API is. Its secret is `api_token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChirpStack {
    /// Such as `https://chirpstack.example.com:8090`.
    pub base_url: String,
}

impl ChirpStack {
    /// The name of its secret.
    pub const SECRET: &str = "api_token";

    /// Enqueues a downlink.
    pub fn request(&self, secrets: &Credentials, parcel: &Parcel) -> Result<Request, String> {
        let url = self.queue(&parcel.network_device_id)?;
        let body = json!({"queueItem": {
            "confirmed": parcel.confirmed,
            "data": STANDARD.encode(&parcel.payload),
            "fPort": parcel.f_port,
        }});
        Ok(Request::post(url, body).with(AUTHORIZATION, authorization(secrets)))
    }

    /// Asks for a device's queue.
    pub fn probe(&self, secrets: &Credentials, device: &str) -> Result<Request, String> {
        Ok(Request::get(self.queue(device)?).with(AUTHORIZATION, authorization(secrets)))
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

fn authorization(secrets: &Credentials) -> String {
    let token = secrets.get(ChirpStack::SECRET).unwrap_or_default();
    format!("Bearer {token}")
}

#[cfg(test)]
mod tests {
    use super::{super::parcel, *};

    #[test]
    fn a_downlink_is_enqueued() {
        let network = ChirpStack {
            base_url: "http://cs.example.com:8090/sub".to_owned(),
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
