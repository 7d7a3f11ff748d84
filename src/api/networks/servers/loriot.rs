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

/// LORIOT, by its HTTP push output
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Loriot")]
pub struct Uplinks {}

impl Claims for Uplinks {}

/// LORIOT: sent by its REST API
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "LoriotDownlinks")]
pub struct Downlinks {
    /// Where its API is, such as `https://eu1.loriot.io/1/rest`
    url: HttpUrl,
    /// The application's id in LORIOT
    application_id: Name,
    /// An authentication token; never shown again. Left out of an update, the old one stays while the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    token: Option<HeaderValue>,
    /// TLS with the server, such as a private authority or a client certificate; left out, the authorities of the hub's system are trusted
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

impl Claims for Downlinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        let claim = required(loriot::Downlinks::SECRET, self.token.as_deref(), URL);
        with_client_key(claim, self.tls.as_mut(), URL)
    }
}
