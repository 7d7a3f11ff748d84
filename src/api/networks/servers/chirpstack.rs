//! Settings of ChirpStack in the API.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::claims::{Claims, required, with_client_key};
use crate::{
    api::http::{mqtt_broker::Broker, server_tls::ServerTls},
    networks::{chirpstack, downlink::BASE_URL},
    secret::Claim,
    text::{HeaderValue, HttpUrl, TopicLevel},
};

/// ChirpStack, over its HTTP integration with JSON. For version 4; the hub reads messages of version 3, too.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ChirpStack")]
pub struct Uplinks {}

impl Claims for Uplinks {}

/// ChirpStack, version 4, over its MQTT integration with JSON. The hub subscribes to the broker.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ChirpStackMqtt")]
pub struct BrokerUplinks {
    /// Broker to which ChirpStack publishes.
    broker: Broker,
    /// Identifier of the application in ChirpStack, without control characters, slashes and wildcards. If omitted or
    /// null, the hub subscribes to all applications.
    #[oai(skip_serializing_if_is_none)]
    application_id: Option<TopicLevel>,
}

impl Claims for BrokerUplinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        self.broker.take_claims("settings")
    }
}

/// ChirpStack, version 4. The hub enqueues downlinks through its REST API.
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ChirpstackDownlinks")]
pub struct Downlinks {
    /// Base URL of the REST API, without username and password, such as `https://chirpstack.example.com:8090`.
    base_url: HttpUrl,
    /// API token: visible ASCII characters, with spaces only inside. Required for new settings. Responses never contain
    /// it. If omitted in an update, the stored value is kept as long as scheme, host and port of `base_url` stay the
    /// same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    api_token: Option<HeaderValue>,
    /// TLS settings for the server, such as a private certificate authority or a client certificate. Requires a
    /// `base_url` that starts with `https://`. If omitted or null, the hub trusts the certificate authorities of its
    /// system.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

impl Claims for Downlinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        let claim = required(
            chirpstack::Downlinks::SECRET,
            self.api_token.as_deref(),
            BASE_URL,
        );
        with_client_key(claim, self.tls.as_mut(), BASE_URL)
    }
}
