//! Settings of Actility's ThingPark in the API.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::claims::{Claims, optional, with_client_key};
use crate::{
    api::http::server_tls::ServerTls,
    networks::{actility, actility::AS_KEY, downlink::URL},
    secret::{Claim, NOWHERE},
    text::{AsKey, HeaderValue, HttpUrl, Name},
};

/// Actility's ThingPark, by its HTTP tunnel interface with JSON
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Actility")]
pub struct Uplinks {
    /// The tunnel interface authentication key (AS key): where it is known, messages without the right
    /// `Token` are refused. Never shown again. Left out of an update, the old one stays
    #[oai(write_only)]
    #[serde(skip_serializing)]
    as_key: Option<AsKey>,
}

impl Claims for Uplinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        let as_key = self.as_key.take().map(AsKey::into_string);
        vec![Claim::optional(AS_KEY, "settings.as_key", as_key, NOWHERE)]
    }
}

/// Actility's ThingPark: posted to the LRC
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ActilityDownlinks")]
pub struct Downlinks {
    /// Where the LRC takes downlinks, such as `https://api.thingpark.com/thingpark/lrc/rest/downlink`
    url: HttpUrl,
    /// The application server's id (AS_ID), where ThingPark authenticates application servers
    #[serde(skip_serializing_if = "Option::is_none")]
    as_id: Option<Name>,
    /// The application server's key, which signs the request; never shown again. Left out of an update, the old one stays
    #[oai(write_only)]
    #[serde(skip_serializing)]
    as_key: Option<HeaderValue>,
    /// TLS with the server, such as a private authority or a client certificate; left out, the authorities of the hub's system are trusted
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

impl Claims for Downlinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        let claim = optional(actility::Downlinks::SECRET, self.as_key.as_deref(), NOWHERE);
        with_client_key(claim, self.tls.as_mut(), URL)
    }
}
