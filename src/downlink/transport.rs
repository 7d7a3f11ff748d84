//! Settings for sending a connection's downlinks: those of a client, or otherwise those implied by the
//! connection's own settings.

use serde_json::Value;

use crate::{
    error::{Error, Result},
    mqtt::Broker,
    networks::{self, DownlinkSettings, NetworkSettings},
    outgoing::{Caller, tls::CLIENT_KEY},
    secret::{Credentials, Stored, Vault},
    store::{
        Scope,
        networks::{
            Connection,
            downlink_settings::{self, Seen},
        },
    },
};

/// Settings and secrets for sending a connection's downlinks.
pub struct Transport {
    /// Downlink settings.
    pub settings: DownlinkSettings,
    /// Secrets of the settings.
    pub secrets: Credentials,
    /// Broker of the connection, if downlinks are published to it.
    pub broker: Option<Broker>,
    /// Reason why nothing can be sent, if the secrets cannot be decrypted.
    pub unopened: Option<String>,
    /// Revisions from which this was read.
    pub seen: Seen,
}

impl Transport {
    /// Returns the client for requests to the network server: `caller`, or one with its own TLS settings.
    pub fn caller(&self, caller: &Caller) -> Result<Caller, String> {
        match self.settings.tls() {
            Some(tls) => caller
                .with_tls(&tls.with(self.secrets.get(CLIENT_KEY)))
                .map_err(|broken| format!("settings.tls.{broken}")),
            None => Ok(caller.clone()),
        }
    }
}

/// Returns the downlink settings of a connection with their revisions; `None` if it has none.
pub async fn settings(
    scope: &Scope,
    connection: &Connection,
) -> Result<Option<(DownlinkSettings, Seen)>> {
    let found = found(scope, connection).await?;
    Ok(found.map(|found| (found.settings, found.seen)))
}

/// Returns everything needed to send the downlinks of a connection; `None` if it has no downlink
/// settings.
pub async fn find(
    scope: &Scope,
    vault: &Vault,
    connection: &Connection,
) -> Result<Option<Transport>> {
    let Some(Found {
        settings,
        stored,
        sealed,
        seen,
    }) = found(scope, connection).await?
    else {
        return Ok(None);
    };
    let stored = Stored {
        settings: &stored,
        secret: sealed.as_deref(),
    };
    let secrets = vault.open_credentials(
        &networks::downlink_place(scope.tenant(), connection.id.0),
        stored,
    );
    let broker = match settings.is_published() {
        true => broker(scope, vault, connection),
        false => Ok(None),
    };
    let (secrets, broker, unopened) = match (secrets, broker) {
        (Ok(secrets), Ok(broker)) => (secrets, broker, None),
        (Err(error @ Error::Unavailable { .. }), _)
        | (_, Err(error @ Error::Unavailable { .. })) => {
            (Credentials::default(), None, Some(error.to_string()))
        }
        (Err(error), _) | (_, Err(error)) => return Err(error),
    };
    Ok(Some(Transport {
        settings,
        secrets,
        broker,
        unopened,
        seen,
    }))
}

/// Parsed and stored form of settings.
struct Found {
    settings: DownlinkSettings,
    stored: Value,
    sealed: Option<Vec<u8>>,
    seen: Seen,
}

async fn found(scope: &Scope, connection: &Connection) -> Result<Option<Found>> {
    let seen = |settings| Seen {
        connection: connection.revision,
        settings,
    };
    if let Some(set) = downlink_settings::find(scope, connection.id).await? {
        return Ok(Some(Found {
            seen: seen(set.revision),
            settings: serde_json::from_value(set.settings.clone()).map_err(Error::internal)?,
            stored: set.settings,
            sealed: set.secret,
        }));
    }
    let implied = DownlinkSettings::implied_by(&network(connection)?);
    Ok(implied.map(|settings| Found {
        settings,
        stored: Value::Null,
        sealed: None,
        seen: seen(0),
    }))
}

/// Returns the broker for publishing. It uses a separate connection, because the subscription may run
/// on another hub.
fn broker(scope: &Scope, vault: &Vault, connection: &Connection) -> Result<Option<Broker>> {
    let network = network(connection)?;
    let Some(subscription) = network.subscription() else {
        return Ok(None);
    };
    let place = networks::place(scope.tenant(), connection.id.0);
    let secrets = vault.open_credentials(&place, connection.provisioned.stored())?;
    let broker = subscription.broker(&secrets, "").map_err(Error::internal)?;
    Ok(Some(broker.beside()))
}

fn network(connection: &Connection) -> Result<NetworkSettings> {
    serde_json::from_value(connection.provisioned.settings.clone()).map_err(Error::internal)
}
