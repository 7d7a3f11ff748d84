//! Downlink settings of network connections.

use poem::Result;
use poem_openapi::{Object, OpenApi, param::Path};
use serde::{Deserialize, Serialize};

use super::servers::DownlinkNetwork;
use crate::{
    api::{
        http::{
            answer::{Found, Revised, Single},
            body::Body,
            caller::Caller,
            types::{Count, Id, Timestamp},
        },
        tag::Tag,
    },
    error::Error,
    hub::Hub,
    id::ConnectionId,
    outgoing::tls::CLIENT_KEY,
    secret::SealedCredentials,
    store::networks::downlink_settings::{self, Settings},
};

/// How the downlinks of a network connection are sent
#[derive(Object, Deserialize, Serialize)]
#[oai(rename = "NewDownlinkSettings")]
#[serde(deny_unknown_fields)]
struct NewSettings {
    /// Which network server takes them, and what must be known to hand them over
    settings: DownlinkNetwork,
}

/// How the downlinks of a network connection are sent
#[derive(Object, Serialize)]
#[oai(rename = "DownlinkSettings")]
struct SettingsView {
    /// Which network server takes them
    settings: DownlinkNetwork,
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

/// Endpoints of `network-connections/{id}/downlink-settings`.
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
