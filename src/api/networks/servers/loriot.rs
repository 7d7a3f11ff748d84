//! Settings of LORIOT in the API.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::claims::{Claims, required, with_client_key};
use crate::{
    api::http::server_tls::ServerTls,
    networks::{downlink::URL, loriot},
    secret::Claim,
    text::{HeaderValue, HttpUrl, Name},
};

/// LORIOT, over its HTTP push output.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Loriot")]
pub struct Uplinks {}

impl Claims for Uplinks {}

/// LORIOT. The hub sends downlinks through its REST API.
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "LoriotDownlinks")]
pub struct Downlinks {
    /// URL of the REST API, without username and password, such as `https://eu1.loriot.io/1/rest`.
    url: HttpUrl,
    /// Identifier of the application in LORIOT, without control characters.
    application_id: Name,
    /// Authentication token: visible ASCII characters, with spaces only inside. Required for new settings. Responses
    /// never contain it. If omitted in an update, the stored value is kept as long as scheme, host and port of `url`
    /// stay the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    token: Option<HeaderValue>,
    /// TLS settings for the server, such as a private certificate authority or a client certificate. Requires a `url`
    /// that starts with `https://`. If omitted or null, the hub trusts the certificate authorities of its system.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

impl Claims for Downlinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        let claim = required(loriot::Downlinks::SECRET, self.token.as_deref(), URL);
        with_client_key(claim, self.tls.as_mut(), URL)
    }
}
