//! How the downlinks of a network connection reach its network server: checked, and with its secrets
//! sealed.

use super::Hub;
use crate::{
    downlink::{DownlinkSettings, VAULT_PURPOSE},
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
        let old = downlink_settings::find(scope, connection).await?;
        let old = old.filter(|old| old.settings["type"] == settings["type"]);
        let before = old.as_ref().map(|old| Stored {
            settings: &old.settings,
            secret: old.secret.as_deref(),
        });
        let secret = self
            .vault
            .seal_claims(VAULT_PURPOSE, &claims, &settings, before)?;
        let (secret, is_pushed) = (secret.write(), read.is_pushed());
        if Claim::keeps_client_key(&claims) {
            let secrets = self
                .vault
                .open_credentials(VAULT_PURPOSE, secret.as_deref())?;
            read.check_secrets(&secrets)
                .map_err(|broken| Error::Invalid(format!("settings.{broken}")))?;
        }
        let saved = downlink_settings::put(scope, connection, settings, secret, is_pushed).await?;
        self.store.wake_downlinks();
        Ok(saved)
    }
}
