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

/// ChirpStack, version 4, by its HTTP integration with JSON
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ChirpStack")]
pub struct Uplinks {}

impl Claims for Uplinks {}

/// ChirpStack, version 4, by its MQTT integration with JSON
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ChirpStackMqtt")]
pub struct BrokerUplinks {
    /// The broker
    broker: Broker,
    /// The application's id; every application by default
    #[oai(skip_serializing_if_is_none)]
    application_id: Option<TopicLevel>,
}

impl Claims for BrokerUplinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        self.broker.take_claims("settings")
    }
}

/// ChirpStack, version 4: enqueued by its REST API
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ChirpstackDownlinks")]
pub struct Downlinks {
    /// Where its REST API is
    base_url: HttpUrl,
    /// An API token; never shown again. Left out of an update, the old one stays while the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    api_token: Option<HeaderValue>,
    /// TLS with the server, such as a private authority or a client certificate; left out, the authorities of the hub's system are trusted
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
