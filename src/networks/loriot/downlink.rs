//! LORIOT downlinks: the `tx` command of the REST API.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::{
    networks::downlink::{DownlinkNetwork, Handover, OutgoingDownlink, Taken, URL, bearer, below},
    outgoing::{Request, TlsSettings},
    secret::{Address, Credentials},
};

/// Settings of the REST API. The secret is `token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downlinks {
    /// URL, such as `https://eu1.loriot.io/1/rest`.
    pub url: String,
    /// Id of the application, 8 hexadecimal digits.
    pub application_id: String,
    /// TLS settings, if they differ from the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

impl Downlinks {
    /// Name of the secret.
    pub const SECRET: &str = "token";
}

impl DownlinkNetwork for Downlinks {
    fn tls(&self) -> Option<&TlsSettings> {
        self.tls.as_ref()
    }

    fn url(&self) -> &str {
        &self.url
    }

    /// Returns the request with the command.
    fn handover(
        &self,
        secrets: &Credentials,
        downlink: &OutgoingDownlink,
    ) -> Result<Handover, String> {
        let url: Url = self.url.parse().map_err(|_| "the URL is invalid")?;
        let body = json!({
            "cmd": "tx",
            "EUI": downlink.network_device_id,
            "port": downlink.f_port,
            "confirmed": downlink.confirmed,
            "data": hex::encode(&downlink.payload),
            "appid": self.application_id,
        });
        let request = Request::post(url, body);
        Ok(Handover::Call(
            request.with("Authorization", bearer(secrets, Self::SECRET)),
        ))
    }

    /// Returns a request for the application.
    fn probe(&self, secrets: &Credentials, _: Option<&str>) -> Result<Request, String> {
        let base: Url = self.url.parse().map_err(|_| "the URL is invalid")?;
        let base = base.join(".").map_err(|_| "the URL has no path")?;
        let url = below(base.as_str(), &["nwk", "app", &self.application_id])?;
        Ok(Request::get(url).with("Authorization", bearer(secrets, Self::SECRET)))
    }

    /// Checks the body, because LORIOT also answers refused commands with a successful status.
    fn read_answer(&self, _: &OutgoingDownlink, body: &Value) -> Result<Taken, String> {
        match body["error"].as_str() {
            Some(error) => Err(format!("LORIOT rejected the downlink: {error}")),
            // Sequence number of the downlink, which the `txd` message repeats.
            None => Ok(Taken {
                reference: body["seqdn"].as_u64().map(|number| number.to_string()),
            }),
        }
    }

    fn secret_address() -> Address {
        URL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::downlink::example_downlink;

    #[test]
    fn the_command_is_posted() {
        let network = Downlinks {
            url: "https://eu1.loriot.example.com/1/rest".to_owned(),
            application_id: "be7a0000".to_owned(),
            tls: None,
        };
        let secrets = Credentials::default().with("token", "t");
        let request = network
            .handover(&secrets, &example_downlink())
            .unwrap()
            .into_request();
        assert_eq!(
            serde_json::from_str::<Value>(&request.body).unwrap(),
            json!({"cmd": "tx", "EUI": "70B3D57ED0012345", "port": 15, "confirmed": true,
                "data": "beef", "appid": "be7a0000"})
        );
        let taken = network.read_answer(
            &example_downlink(),
            &json!({"cmd": "tx", "success": "enqueued", "seqdn": 8}),
        );
        assert_eq!(taken.unwrap().reference.as_deref(), Some("8"));
        assert!(
            network
                .read_answer(
                    &example_downlink(),
                    &json!({"cmd": "tx", "success": "enqueued"})
                )
                .is_ok()
        );
        assert!(
            network
                .read_answer(&example_downlink(), &json!({"error": "no such device"}))
                .is_err()
        );
    }
}
