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

/// Downlink settings to store for a network connection.
#[derive(Object, Deserialize, Serialize)]
#[oai(rename = "NewDownlinkSettings")]
#[serde(deny_unknown_fields)]
struct NewSettings {
    /// Network server that receives the downlinks, and its settings.
    settings: DownlinkNetwork,
}

/// Downlink settings of a network connection.
#[derive(Object, Serialize)]
#[oai(rename = "DownlinkSettings")]
struct SettingsView {
    /// Network server that receives the downlinks, and its settings without secrets.
    settings: DownlinkNetwork,
    /// Whether a secret is stored with which the hub authenticates at the network server.
    has_secret: bool,
    /// Whether the private key of a client certificate is stored.
    has_client_key: bool,
    /// Revision, which increases with every change by a client. It is also the `ETag`.
    revision: Count,
    /// Time of creation.
    created_at: Timestamp,
    /// Time of the last change.
    updated_at: Timestamp,
}

/// Endpoints of `network-connections/{id}/downlink-settings`.
pub struct DownlinkSettingsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::NetworkConnections")]
impl DownlinkSettingsApi {
    /// Get downlink settings
    ///
    /// Returns the connection's downlink settings, without secrets. Fails with 404 if the connection has none; it then
    /// sends no downlinks, unless its type is `the_things_stack_mqtt` or `chirpstack_mqtt`, which publish downlinks to
    /// the connection's broker.
    #[oai(
        path = "/network-connections/:id/downlink-settings",
        method = "get",
        operation_id = "get_downlink_settings"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
        id: Path<Id>,
    ) -> Result<Single<SettingsView>> {
        let found = downlink_settings::get(caller.scope(), ConnectionId(**id)).await?;
        Ok(Single(found.try_into()?))
    }

    /// Set downlink settings
    ///
    /// Creates or replaces the connection's downlink settings. From then on, clients can queue downlinks for the
    /// devices of the connection; downlinks that are already queued use the new settings.
    ///
    /// The type can differ from the connection's type: a connection of the type `http` can send downlinks to any
    /// network server. Only the type `mqtt` requires a connection with a broker. Connections of the types
    /// `the_things_stack_mqtt` and `chirpstack_mqtt` need no downlink settings to send through their broker.
    ///
    /// An omitted secret is kept if the type and the address to which the secret is sent stay the same. Fails with 400
    /// if a required secret is missing, a template is invalid, or the type `mqtt` is set for a connection without a
    /// broker.
    #[oai(
        path = "/network-connections/:id/downlink-settings",
        method = "put",
        operation_id = "update_downlink_settings"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
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

    /// Delete downlink settings
    ///
    /// Deletes the connection's downlink settings and returns them. Queued downlinks wait until there are settings
    /// again, or until they expire. With the type `the_things_stack_mqtt` or `chirpstack_mqtt`, the hub publishes them
    /// to the connection's broker instead. Fails with 404 if the connection has no downlink settings.
    #[oai(
        path = "/network-connections/:id/downlink-settings",
        method = "delete",
        operation_id = "delete_downlink_settings"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Unique identifier of the network connection.
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
