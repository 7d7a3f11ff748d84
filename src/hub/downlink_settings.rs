//! How the downlinks of a network connection reach its network server: checked, and with its secrets
//! sealed.

use super::Hub;
use crate::{
    downlink::{self, DownlinkSettings},
    error::{Error, Result},
    id::ConnectionId,
    secret::{Claim, Stored},
    store::{
        Scope,
        downlink_settings::{self, Settings},
        network_connections,
    },
};

impl Hub {
    /// Sets how a connection's downlinks are sent. A secret that is not given again stays as long as
    /// the type and the address that it is sent to do.
    pub async fn set_downlink_settings(
        &self,
        scope: &Scope,
        connection: ConnectionId,
        settings: serde_json::Value,
        claims: Vec<Claim>,
    ) -> Result<Settings> {
        let found = network_connections::get(scope, connection).await?;
        let network =
            serde_json::from_value(found.provisioned.settings).map_err(Error::internal)?;
        let read: DownlinkSettings = serde_json::from_value(settings.clone())
            .map_err(|error| Error::field("settings", error))?;
        read.check(&network)
            .map_err(|broken| Error::Invalid(format!("settings.{broken}")))?;
        let (place, new) = (
            downlink::place(scope.tenant(), connection.0),
            settings.clone(),
        );
        let seal = |before: Option<Stored<'_>>| {
            let before = before.filter(|before| before.settings["type"] == new["type"]);
            self.seal(&place, &claims, &new, before, |secrets| {
                read.check_secrets(secrets)
                    .map_err(|broken| Error::Invalid(format!("settings.{broken}")))
            })
        };
        let is_pushed = read.is_pushed();
        let saved = downlink_settings::put(scope, connection, settings, is_pushed, seal).await?;
        self.store.wake_downlinks();
        Ok(saved)
    }
}
