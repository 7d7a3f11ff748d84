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

/// The Things Stack, version 3, over a webhook.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "TheThingsStack")]
pub struct Uplinks {}

impl Claims for Uplinks {}

/// The Things Stack, version 3, over its MQTT broker. The username of the broker is the application with its tenant,
/// such as `my-app@ttn`; the password is an API key of the application.
#[derive(Clone, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "TheThingsStackMqtt")]
pub struct BrokerUplinks {
    /// Broker of the stack, such as `mqtts://eu1.cloud.thethings.network`.
    broker: Broker,
}

impl Claims for BrokerUplinks {
    fn take_claims(&mut self) -> Vec<Claim> {
        self.broker.take_claims("settings")
    }
}

/// The Things Stack, version 3. The hub sends downlinks through the webhook that delivers the uplinks. It takes the
/// stack's own id of a device from its uplinks, so a downlink waits until the device has sent one.
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
#[oai(rename = "TheThingsStackDownlinks")]
pub struct Downlinks {
    /// Base URL of the stack, without username and password, such as `https://eu1.cloud.thethings.network`.
    base_url: HttpUrl,
    /// Identifier of the webhook in the stack, without control characters.
    webhook_id: Name,
    /// Identifier of the application in the stack, without control characters. If omitted or null, the hub takes it
    /// from uplinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    application_id: Option<Name>,
    /// API key with the right to write downlink application traffic: visible ASCII characters, with spaces only inside.
    /// Required for new settings. Responses never contain it. If omitted in an update, the stored value is kept as long
    /// as scheme, host and port of `base_url` stay the same.
    #[oai(write_only)]
    #[serde(skip_serializing)]
    api_key: Option<HeaderValue>,
    /// TLS settings for the server, such as a private certificate authority or a client certificate. Requires a
    /// `base_url` that starts with `https://`. If omitted or null, the hub trusts the certificate authorities of its
    /// system.
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
