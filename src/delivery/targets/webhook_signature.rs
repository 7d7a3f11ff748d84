//! Signatures according to Standard Webhooks: HMAC-SHA-256 over id, time and body.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    clock::Time,
    error::{Error, Result},
    secret::SIGNING_SECRET_PREFIX,
};

/// Signer with one secret.
pub struct Signer {
    key: Hmac<Sha256>,
}

impl Signer {
    /// Reads a secret: `whsec_` followed by base64.
    pub fn new(secret: &str) -> Result<Self> {
        let text = secret.strip_prefix(SIGNING_SECRET_PREFIX).unwrap_or(secret);
        let bytes = STANDARD.decode(text).map_err(Error::internal)?;
        let key = Hmac::new_from_slice(&bytes).map_err(Error::internal)?;
        Ok(Self { key })
    }

    /// Returns the headers that a signed message has in addition to its id.
    pub fn headers(&self, id: &str, now: Time, body: &str) -> [(&'static str, String); 2] {
        let timestamp = now.timestamp().to_string();
        let mut mac = self.key.clone();
        for part in [id, ".", &timestamp, ".", body] {
            mac.update(part.as_bytes());
        }
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        [
            ("webhook-timestamp", timestamp),
            ("webhook-signature", format!("v1,{signature}")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    /// Test vector of the scheme's own libraries.
    #[test]
    fn the_documented_vector_comes_out() {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = DateTime::from_timestamp(1_614_265_330, 0).unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let [_, (_, signature)] = signer.headers(id, at, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
