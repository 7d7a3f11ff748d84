//! Settings of The Things Stack in the API.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::claims::{Claims, required, with_client_key};
use crate::{
    api::http::{mqtt_broker::Broker, server_tls::ServerTls},
    networks::{downlink::BASE_URL, the_things_stack},
    secret::Claim,
    text::{HeaderValue, HttpUrl, Name},
};

/// The Things Stack, version 3, by webhook
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "TheThingsStack")]
pub struct Uplinks {}

impl Claims for Uplinks {}

/// The Things Stack, version 3, by its MQTT broker. The broker's user is the application with its
/// tenant, such as `my-app@ttn`, the password an API key of the application
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "TheThingsStackMqtt")]
pub struct BrokerUplinks {
    /// The broker, such as `mqtts://eu1.cloud.thethings.network`
    broker: Broker,
}

impl Claims for BrokerUplinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        self.broker.take_claims("settings")
    }
}

/// The Things Stack, version 3: pushed over the webhook that brings the uplinks. The stack's own id of a device is learned from its uplinks
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "TheThingsStackDownlinks")]
pub struct Downlinks {
    /// Where the stack is, such as `https://eu1.cloud.thethings.network`
    base_url: HttpUrl,
    /// The webhook's id in the stack
    webhook_id: Name,
    /// The application's id; learned from uplinks, if left out
    #[serde(skip_serializing_if = "Option::is_none")]
    application_id: Option<Name>,
    /// An API key with the right to write downlink application traffic; never shown again. Left out of an update, the old one stays while the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    api_key: Option<HeaderValue>,
    /// TLS with the server, such as a private authority or a client certificate; left out, the authorities of the hub's system are trusted
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

impl Claims for Downlinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        let claim = required(
            the_things_stack::Downlinks::SECRET,
            self.api_key.as_deref(),
            BASE_URL,
        );
        with_client_key(claim, self.tls.as_mut(), BASE_URL)
    }
}
