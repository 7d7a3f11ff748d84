//! Downlink settings of a network connection: validated, and stored with sealed secrets.

use crate::{
    error::{Error, Result},
    hub::Hub,
    id::ConnectionId,
    networks::{self, DownlinkSettings},
    secret::{Claim, Stored},
    store::{
        Scope,
        networks::{
            NewConnection,
            downlink_settings::{self, NewSettings, Settings},
        },
    },
};

impl Hub {
    /// Sets the downlink settings of a connection. An omitted secret is kept, as long as the type and the
    /// address of the secret stay the same.
    pub async fn set_downlink_settings(
        &self,
        scope: &Scope,
        connection: ConnectionId,
        settings: serde_json::Value,
        claims: Vec<Claim>,
    ) -> Result<Settings> {
        let read: DownlinkSettings = serde_json::from_value(settings.clone())
            .map_err(|error| Error::field("settings", error))?;
        let place = networks::downlink_place(scope.tenant(), connection.0);
        let make = |connection: &NewConnection, old: Option<&Settings>| {
            let network = serde_json::from_value(connection.settings.clone());
            read.check(&network.map_err(Error::internal)?)
                .map_err(|broken| Error::broken(format!("settings.{broken}")))?;
            let before = old
                .filter(|old| old.settings["type"] == settings["type"])
                .map(|old| Stored {
                    settings: &old.settings,
                    secret: old.secret.as_deref(),
                });
            let secret = self.seal(&place, &claims, &settings, before, |secrets| {
                read.check_secrets(secrets)
                    .map_err(|broken| Error::broken(format!("settings.{broken}")))
            })?;
            Ok(NewSettings {
                secret,
                settings: settings.clone(),
                is_pushed: read.is_pushed(),
            })
        };
        downlink_settings::put(scope, connection, make).await
    }
}
