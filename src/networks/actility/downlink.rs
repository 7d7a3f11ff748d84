//! Actility's ThingPark: the tunnel interface from application servers to the LRC.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    clock::Time,
    networks::downlink::{DownlinkNetwork, Handover, OutgoingDownlink, Taken},
    outgoing::{Request, TlsSettings},
    secret::Credentials,
};
use serde_json::Value;

/// Settings of the LRC's interface. The secret is `as_key`, if the application server must
/// authenticate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downlinks {
    /// URL, such as `https://api.thingpark.com/thingpark/lrc/rest/downlink`.
    pub url: String,
    /// Id of the application server, if it must authenticate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_id: Option<String>,
    /// TLS settings, if they differ from the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

impl Downlinks {
    /// Name of the secret.
    pub const SECRET: &str = "as_key";
}

impl DownlinkNetwork for Downlinks {
    fn tls(&self) -> Option<&TlsSettings> {
        self.tls.as_ref()
    }

    fn url(&self) -> &str {
        &self.url
    }

    /// Returns the request, whose query holds all parameters. The token is the hash of the unescaped query
    /// with the key appended.
    fn handover(
        &self,
        secrets: &Credentials,
        downlink: &OutgoingDownlink,
    ) -> Result<Handover, String> {
        let mut url: Url = self.url.parse().map_err(|_| "the URL is invalid")?;
        let mut query = vec![
            ("DevEUI", downlink.network_device_id.clone()),
            ("FPort", downlink.f_port.to_string()),
            ("Payload", hex::encode(&downlink.payload)),
            ("CorrelationID", reference(downlink)),
        ];
        if downlink.confirmed {
            query.push(("Confirmed", "1".to_owned()));
        }
        if let Some(expires_at) = downlink.expires_at {
            query.push(("ValidityTime", time(expires_at)));
        }
        if let Some(as_id) = &self.as_id {
            query.push(("AS_ID", as_id.clone()));
            query.push(("Time", time(downlink.now)));
        }
        if let Some(key) = secrets.get(Self::SECRET) {
            let text: Vec<String> = query
                .iter()
                .map(|(name, v)| format!("{name}={v}"))
                .collect();
            let signed = text.join("&") + &key.to_ascii_lowercase();
            query.push(("Token", hex::encode(Sha256::digest(signed))));
        }
        url.query_pairs_mut().extend_pairs(query);
        Ok(Handover::Call(Request::bare_post(url)))
    }

    fn probe(&self, _: &Credentials, _: Option<&str>) -> Result<Request, String> {
        Err(
            "ThingPark has no request that tests the credentials without sending a downlink"
                .to_owned(),
        )
    }

    /// Returns the correlation id that was sent along, by which later messages refer to the downlink.
    fn read_answer(&self, downlink: &OutgoingDownlink, _: &Value) -> Result<Taken, String> {
        Ok(Taken {
            reference: Some(reference(downlink)),
        })
    }
}

/// Returns the correlation id of a downlink: ThingPark's ids have 64 bits, so the random half of the
/// UUID is used.
fn reference(downlink: &OutgoingDownlink) -> String {
    hex::encode_upper(&downlink.id.as_bytes()[8..])
}

fn time(time: Time) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::downlink::example_downlink;

    #[test]
    fn the_query_says_it_all_and_is_signed() {
        let network = Downlinks {
            url: "https://api.example.com/thingpark/lrc/rest/downlink".to_owned(),
            as_id: Some("app1.sample.com".to_owned()),
            tls: None,
        };
        let key = "46AB678CD45DF4A4E4B375EACD096ACC";
        let secrets = Credentials::default().with("as_key", key);
        let request = network
            .handover(&secrets, &example_downlink())
            .unwrap()
            .into_request();
        let query: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
        let text: Vec<String> = query
            .iter()
            .map(|(name, v)| format!("{name}={v}"))
            .collect();
        let (unsigned, token) = text.split_at(text.len() - 1);
        assert_eq!(
            unsigned.join("&"),
            "DevEUI=70B3D57ED0012345&FPort=15&Payload=beef&CorrelationID=9D0F3C1F6F1F8A11\
             &Confirmed=1&ValidityTime=2026-01-31T12:30:00.000+00:00&AS_ID=app1.sample.com\
             &Time=2026-01-31T12:00:00.123+00:00"
        );
        let signed = format!("{}46ab678cd45df4a4e4b375eacd096acc", unsigned.join("&"));
        assert_eq!(
            token[0],
            format!("Token={}", hex::encode(Sha256::digest(signed)))
        );
        assert!(
            request.url.as_str().contains("%2B00%3A00"),
            "{}",
            request.url
        );
        let unsigned = network
            .handover(&Credentials::default(), &example_downlink())
            .unwrap()
            .into_request();
        assert!(!unsigned.url.as_str().contains("Token="));
    }
}
