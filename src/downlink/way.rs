//! The way of a connection's downlinks: by the settings that somebody has made, or else by those that
//! the connection's own imply.

use super::settings::{DownlinkSettings, VAULT_PURPOSE};
use crate::{
    error::{Error, Result},
    mqtt::Broker,
    outgoing::{Caller, tls::CLIENT_KEY},
    secret::{Credentials, Vault},
    store::{Scope, downlink_settings, network_connections::Connection},
    uplink::networks::{self, NetworkSettings},
};

/// What a connection's downlinks are sent with.
pub struct Way {
    /// How.
    pub settings: DownlinkSettings,
    /// The secrets that belong to that.
    pub secrets: Credentials,
    /// The connection's broker, where downlinks are published and it has one.
    pub broker: Option<Broker>,
}

impl Way {
    /// What makes requests to the network server: `caller`, or one with TLS of its own. The error is for a
    /// person.
    pub fn caller(&self, caller: &Caller) -> Result<Caller, String> {
        match self.settings.tls() {
            Some(tls) => caller
                .with_tls(&tls.with(self.secrets.get(CLIENT_KEY)))
                .map_err(|broken| format!("settings.tls.{broken}")),
            None => Ok(caller.clone()),
        }
    }
}

/// How a connection's downlinks are sent; `None`: they are not.
pub async fn settings(scope: &Scope, connection: &Connection) -> Result<Option<DownlinkSettings>> {
    Ok(found(scope, connection)
        .await?
        .map(|(settings, _)| settings))
}

/// The same with all that sending needs.
pub async fn find(scope: &Scope, vault: &Vault, connection: &Connection) -> Result<Option<Way>> {
    let Some((settings, sealed)) = found(scope, connection).await? else {
        return Ok(None);
    };
    Ok(Some(Way {
        secrets: vault.open_credentials(VAULT_PURPOSE, sealed.as_deref())?,
        broker: match settings.is_published() {
            true => broker(vault, connection)?,
            false => None,
        },
        settings,
    }))
}

async fn found(
    scope: &Scope,
    connection: &Connection,
) -> Result<Option<(DownlinkSettings, Option<Vec<u8>>)>> {
    if let Some(set) = downlink_settings::find(scope, connection.id).await? {
        let settings = serde_json::from_value(set.settings).map_err(Error::internal)?;
        return Ok(Some((settings, set.secret)));
    }
    let implied = DownlinkSettings::implied_by(&network(connection)?);
    Ok(implied.map(|settings| (settings, None)))
}

/// What is published goes over a connection of its own: the subscription is another hub's, maybe.
fn broker(vault: &Vault, connection: &Connection) -> Result<Option<Broker>> {
    let network = network(connection)?;
    let Some(subscription) = network.subscription() else {
        return Ok(None);
    };
    let sealed = connection.provisioned.secret.as_deref();
    let secrets = vault.open_credentials(networks::VAULT_PURPOSE, sealed)?;
    let broker = subscription.broker(&secrets, "").map_err(Error::internal)?;
    Ok(Some(broker.beside()))
}

fn network(connection: &Connection) -> Result<NetworkSettings> {
    serde_json::from_value(connection.provisioned.settings.clone()).map_err(Error::internal)
}
