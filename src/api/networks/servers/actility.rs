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

/// Actility's ThingPark, over its HTTP tunnel interface with JSON.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Actility")]
pub struct Uplinks {
    /// Tunnel interface authentication key (AS key): hexadecimal digits, with or without dashes. With a key, the hub
    /// rejects messages without a correct `Token`; without one, it does not verify messages. Responses never contain
    /// it. If omitted in an update, the stored value is kept.
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

/// Actility's ThingPark. The hub posts downlinks to the LRC.
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ActilityDownlinks")]
pub struct Downlinks {
    /// URL of the LRC for downlinks, without username and password, such as
    /// `https://api.thingpark.com/thingpark/lrc/rest/downlink`.
    url: HttpUrl,
    /// Identifier of the application server (AS_ID), without control characters. If omitted or null, the hub sends
    /// none; ThingPark needs it if it authenticates application servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_id: Option<Name>,
    /// Key of the application server (AS key), with which the hub signs requests: visible ASCII characters, with spaces
    /// only inside. If there is none, the hub does not sign them. Responses never contain it. If omitted in an update,
    /// the stored value is kept.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    as_key: Option<HeaderValue>,
    /// TLS settings for the server, such as a private certificate authority or a client certificate. Requires a `url`
    /// that starts with `https://`. If omitted or null, the hub trusts the certificate authorities of its system.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

impl Claims for Downlinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        let claim = optional(actility::Downlinks::SECRET, self.as_key.as_deref(), NOWHERE);
        with_client_key(claim, self.tls.as_mut(), URL)
    }
}
