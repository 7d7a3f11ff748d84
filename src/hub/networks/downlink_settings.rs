//! Downlink settings of a network connection: validated, and stored with sealed secrets.

use serde_json::Value;

use crate::{
    error::{Error, Result},
    hub::Hub,
    id::ConnectionId,
    networks::{self, DownlinkSettings},
    outgoing::host_of,
    secret::{Claim, Stored},
    store::{
        Scope,
        networks::{
            NewConnection,
            downlink_settings::{self, NewSettings, Settings},
        },
    },
};

/// Returns the host to which downlinks are sent, with its field; `None` if the hub calls no server.
fn host(settings: &DownlinkSettings, stored: &Value) -> Option<(String, String)> {
    let field = match stored["base_url"].is_string() {
        true => "settings.base_url",
        false => "settings.url",
    };
    Some((field.to_owned(), host_of(settings.url())?))
}

fn host_before(old: &Settings) -> Option<(String, String)> {
    let read: DownlinkSettings = serde_json::from_value(old.settings.clone()).ok()?;
    host(&read, &old.settings)
}

impl Hub {
    /// Sets the downlink settings of a connection. An omitted secret is kept, as long as the type and the
    /// address of the secret stay the same.
    pub async fn set_downlink_settings(
        &self,
        scope: &Scope,
        connection: ConnectionId,
        settings: Value,
        claims: Vec<Claim>,
    ) -> Result<Settings> {
        let read: DownlinkSettings = serde_json::from_value(settings.clone())
            .map_err(|error| Error::field("settings", error))?;
        let place = networks::downlink_place(scope.tenant(), connection.0);
        let make = |connection: &NewConnection, old: Option<&Settings>| {
            let network = serde_json::from_value(connection.settings.clone());
            read.check(&network.map_err(Error::internal)?)
                .map_err(|broken| Error::broken(format!("settings.{broken}")))?;
            let host = host(&read, &settings);
            if host != old.and_then(host_before) {
                self.check_hosts(&host.into_iter().collect::<Vec<_>>())?;
            }
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
