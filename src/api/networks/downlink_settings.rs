//! How the downlinks of a network connection reach its network server.

use poem::Result;
use poem_openapi::{Enum, Object, OpenApi, Union, param::Path, types::Example};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    api::{
        Tag,
        access::auth::Caller,
        http::{
            answer::{Found, Revised, Single},
            body::Body,
            mqtt_broker::{Quality, at_least_once},
            server_tls::ServerTls,
            strict,
            types::{Count, Id, Timestamp},
        },
    },
    error::Error,
    hub::Hub,
    id::ConnectionId,
    outgoing::tls::CLIENT_KEY,
    secret::{
        Claim, NOWHERE, SealedCredentials,
        addresses::{BASE_URL, URL},
    },
    store::networks::downlink_settings::{self, Settings},
    text::{DownlinkTopic, HeaderValue, HttpUrl, Name, Template},
};

/// How the downlinks of a network connection are sent
#[derive(Object, Deserialize, Serialize)]
#[oai(rename = "NewDownlinkSettings", example)]
#[serde(deny_unknown_fields)]
struct NewSettings {
    /// Which network server takes them, and what must be known to hand them over
    settings: NetworkSettings,
}

impl Example for NewSettings {
    fn example() -> Self {
        Self {
            settings: NetworkSettings::Chirpstack(ChirpstackDownlinks {
                base_url: HttpUrl::new("https://chirpstack.example.com:8090")
                    .unwrap_or_else(|rule| unreachable!("{rule}")),
                api_token: HeaderValue::new("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9").ok(),
                tls: None,
            }),
        }
    }
}

/// Which network server takes downlinks. Addresses that are not public are refused when something is sent, unless the operator has allowed their network
#[derive(Union, Serialize)]
#[oai(rename = "DownlinkNetwork", discriminator_name = "type", one_of = true)]
#[serde(tag = "type", rename_all = "snake_case")]
enum NetworkSettings {
    #[oai(mapping = "the_things_stack")]
    TheThingsStack(TheThingsStackDownlinks),
    #[oai(mapping = "chirpstack")]
    Chirpstack(ChirpstackDownlinks),
    #[oai(mapping = "actility")]
    Actility(ActilityDownlinks),
    #[oai(mapping = "loriot")]
    Loriot(LoriotDownlinks),
    #[oai(mapping = "sigfox")]
    Sigfox(SigfoxDownlinks),
    #[oai(mapping = "http")]
    Http(HttpDownlinks),
    #[oai(mapping = "mqtt")]
    Mqtt(MqttDownlinks),
}

/// The Things Stack, version 3: pushed over the webhook that brings the uplinks. The stack's own id of a device is learned from its uplinks
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
struct TheThingsStackDownlinks {
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

/// ChirpStack, version 4: enqueued by its REST API
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
struct ChirpstackDownlinks {
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

/// Actility's ThingPark: posted to the LRC
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
struct ActilityDownlinks {
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

/// LORIOT: sent by its REST API
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
struct LoriotDownlinks {
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

/// Sigfox: in the answer to the callback (`BIDIR`) with which a device asks for a downlink
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SigfoxDownlinks {}

/// Any server that takes an HTTP request. In `url` and `body`, `{{network_device_id}}`, `{{device}}`, `{{application}}`, `{{tenant}}`, `{{payload_hex}}`, `{{payload_base64}}`, `{{f_port}}`, `{{confirmed}}`, `{{priority}}` and `{{downlink_id}}` are filled in, escaped for where they stand
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
struct HttpDownlinks {
    /// How the request is made
    method: DownlinkMethod,
    /// Where to. Scheme, host and port must be the same for every device: no `{{names}}` may stand there
    url: HttpUrl,
    /// What is sent; nothing, if left out
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Template>,
    /// The type of the body; `application/json`, if left out
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<HeaderValue>,
    /// Value of the `Authorization` header; never shown again. Left out of an update, the old one stays while the address does
    #[oai(write_only)]
    #[serde(skip_serializing)]
    authorization: Option<HeaderValue>,
    /// TLS with the server, such as a private authority or a client certificate; left out, the authorities of the hub's system are trusted
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<ServerTls>,
}

/// The broker from which the connection's uplinks come: only for a connection that has one. Not needed for connections of the types `the_things_stack_mqtt` and `chirpstack_mqtt`, which know how. `topic` and `payload` may name what `url` and `body` of the type `http` may
#[derive(Object, Serialize, Deserialize)]
#[oai(skip_serializing_if_is_none)]
#[serde(deny_unknown_fields)]
struct MqttDownlinks {
    /// Where to publish. A value with a slash or a wildcard cannot stand in it: the downlink waits
    topic: DownlinkTopic,
    /// What is published, with values escaped for a JSON text; the bytes themselves, if left out
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Template>,
    /// The quality of service: 0 at most once, 1 at least once, 2 exactly once. With 0 a downlink counts as sent when it has left the hub
    #[oai(default = "at_least_once")]
    #[serde(default = "at_least_once")]
    qos: Quality,
    /// Whether the broker keeps the last message of each topic for those who come later
    #[oai(default)]
    #[serde(default)]
    retain: bool,
}

/// How a request is made
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "UPPERCASE")]
#[serde(rename_all = "UPPERCASE")]
enum DownlinkMethod {
    Post,
    Put,
}

/// How the downlinks of a network connection are sent
#[derive(Object, Serialize)]
#[oai(rename = "DownlinkSettings")]
struct SettingsView {
    /// Which network server takes them
    settings: NetworkSettings,
    /// Whether a secret is stored by which the network server knows the hub
    has_secret: bool,
    /// Whether the private key of a client certificate is stored
    has_client_key: bool,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When they were made
    created_at: Timestamp,
    /// When they were last changed
    updated_at: Timestamp,
}

/// `network-connections/{id}/downlink-settings`.
pub struct DownlinkSettingsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::NetworkConnections")]
impl DownlinkSettingsApi {
    /// Get how downlinks are sent
    ///
    /// Without its secrets. A connection that has no such settings sends no downlinks, unless its type
    /// is `the_things_stack_mqtt` or `chirpstack_mqtt`: its broker takes them.
    #[oai(
        path = "/network-connections/:id/downlink-settings",
        method = "get",
        operation_id = "get_downlink_settings"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
    ) -> Result<Single<SettingsView>> {
        let found = downlink_settings::get(caller.scope(), ConnectionId(**id)).await?;
        Ok(Single(found.try_into()?))
    }

    /// Set how downlinks are sent
    ///
    /// From then on downlinks can be queued for the devices of the connection. How its uplinks come in
    /// does not matter, except for the type `mqtt`, which needs the connection's broker: a connection of
    /// the type `http` can send downlinks to any network server. A connection of the type
    /// `the_things_stack_mqtt` or `chirpstack_mqtt` needs no settings to send by its broker.
    #[oai(
        path = "/network-connections/:id/downlink-settings",
        method = "put",
        operation_id = "update_downlink_settings"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
        body: Body<NewSettings>,
    ) -> Result<Single<SettingsView>> {
        let (id, mut settings) = (ConnectionId(**id), body.0.settings);
        let claims = settings.take_claims();
        let settings = serde_json::to_value(settings).map_err(Error::internal)?;
        let set = self
            .hub
            .set_downlink_settings(caller.scope(), id, settings, claims);
        Ok(Single(set.await?.try_into()?))
    }

    /// Send no more downlinks
    ///
    /// What is queued stays queued until there are settings again, or it expires; with the type
    /// `the_things_stack_mqtt` or `chirpstack_mqtt` it goes to the connection's broker again. Answers what
    /// was deleted.
    #[oai(
        path = "/network-connections/:id/downlink-settings",
        method = "delete",
        operation_id = "delete_downlink_settings"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The network connection's id
        id: Path<Id>,
    ) -> Result<Found<SettingsView>> {
        let deleted = downlink_settings::delete(caller.scope(), ConnectionId(**id)).await?;
        Ok(Found(deleted.try_into()?))
    }
}

impl<'de> Deserialize<'de> for NetworkSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const TYPES: [&str; 7] = [
            "the_things_stack",
            "chirpstack",
            "actility",
            "loriot",
            "sigfox",
            "http",
            "mqtt",
        ];
        strict::union(deserializer, &TYPES, |tag, members| match tag {
            "the_things_stack" => Some(members.read().map(Self::TheThingsStack)),
            "chirpstack" => Some(members.read().map(Self::Chirpstack)),
            "actility" => Some(members.read().map(Self::Actility)),
            "loriot" => Some(members.read().map(Self::Loriot)),
            "sigfox" => Some(members.read().map(Self::Sigfox)),
            "http" => Some(members.read().map(Self::Http)),
            "mqtt" => Some(members.read().map(Self::Mqtt)),
            _ => None,
        })
    }
}

impl NetworkSettings {
    /// The secrets that go with them.
    fn take_claims(&mut self) -> Vec<Claim> {
        let (tls, address) = match self {
            Self::TheThingsStack(n) => (n.tls.as_mut(), BASE_URL),
            Self::Chirpstack(n) => (n.tls.as_mut(), BASE_URL),
            Self::Actility(n) => (n.tls.as_mut(), URL),
            Self::Loriot(n) => (n.tls.as_mut(), URL),
            Self::Http(n) => (n.tls.as_mut(), URL),
            Self::Sigfox(_) | Self::Mqtt(_) => (None, NOWHERE),
        };
        let key = tls.and_then(|tls| tls.take_claim(CLIENT_KEY, "settings.tls", address));
        let mut claims = self.own_claims();
        claims.extend(key);
        claims
    }

    /// Those by which a network server knows the hub.
    fn own_claims(&self) -> Vec<Claim> {
        use crate::networks::{
            actility::downlink::Actility, chirpstack::downlink::ChirpStack,
            http::downlink::HttpTemplate, loriot::downlink::Loriot,
            the_things_stack::downlink::TheThingsStack,
        };
        let text = |secret: &Option<HeaderValue>| secret.as_deref().map(str::to_owned);
        let required = |name: &str, secret: &Option<HeaderValue>, sent_to| {
            Claim::required(name, &format!("settings.{name}"), text(secret), sent_to)
        };
        let optional = |name: &str, secret: &Option<HeaderValue>, sent_to| {
            Claim::optional(name, &format!("settings.{name}"), text(secret), sent_to)
        };
        match self {
            Self::TheThingsStack(n) => vec![required(TheThingsStack::SECRET, &n.api_key, BASE_URL)],
            Self::Chirpstack(n) => vec![required(ChirpStack::SECRET, &n.api_token, BASE_URL)],
            Self::Actility(n) => vec![optional(Actility::SECRET, &n.as_key, NOWHERE)],
            Self::Loriot(n) => vec![required(Loriot::SECRET, &n.token, URL)],
            Self::Sigfox(_) | Self::Mqtt(_) => Vec::new(),
            Self::Http(n) => vec![optional(HttpTemplate::SECRET, &n.authorization, URL)],
        }
    }
}

impl TryFrom<Settings> for SettingsView {
    type Error = Error;

    fn try_from(found: Settings) -> Result<Self, Error> {
        let secrets = SealedCredentials::read(found.secret.as_deref());
        Ok(Self {
            settings: serde_json::from_value(found.settings).map_err(Error::internal)?,
            has_secret: secrets.names().iter().any(|name| name != CLIENT_KEY),
            has_client_key: secrets.has(CLIENT_KEY),
            revision: Count::saturating(found.revision),
            created_at: Timestamp(found.created_at),
            updated_at: Timestamp(found.updated_at),
        })
    }
}

impl Revised for SettingsView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
