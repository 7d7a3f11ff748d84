//! The type `http`.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{TargetType, read};
use crate::{
    error::Result,
    secret::{AUTHORIZATION, Claim, SealedCredentials},
    text::{HeaderValue, HttpUrl},
};

/// An HTTP endpoint: each uplink is posted to it as JSON, in the native output format; any 2xx takes it.
/// The header `Webhook-Id` names the delivery and stays the same over its attempts.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTarget {
    /// Where to post; private addresses are refused unless the operator has allowed them
    url: HttpUrl,
    /// Value of the `Authorization` header; never shown again. Left out of an update, the old one stays
    #[oai(write_only)]
    #[serde(skip_serializing)]
    authorization: Option<HeaderValue>,
}

/// An HTTP endpoint
#[derive(Object, Serialize, Deserialize)]
pub struct HttpTargetView {
    /// Where it posts to
    url: String,
    /// Whether it sends an `Authorization` header
    #[serde(default)]
    has_authorization: bool,
}

impl TargetType for HttpTarget {
    const KIND: &'static str = "http";

    fn take_claims(&mut self) -> Vec<Claim> {
        let authorization = self.authorization.take().map(HeaderValue::into_string);
        vec![Claim::optional(
            AUTHORIZATION,
            "target.authorization",
            authorization,
        )]
    }
}

impl HttpTargetView {
    pub fn new(settings: Value, secrets: &SealedCredentials) -> Result<Self> {
        Ok(Self {
            has_authorization: secrets.has(AUTHORIZATION),
            ..read(settings)?
        })
    }
}
