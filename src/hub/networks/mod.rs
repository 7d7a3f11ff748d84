//! Network connections: each lets one network server send messages, with a key of its own.

use serde::Deserialize;
use serde_json::Value;

use super::{Hub, devices::References};
use crate::{
    error::{Error, Result},
    id::ConnectionId,
    networks::{self, NetworkSettings},
    outgoing::host_of,
    secret::{self, Claim, Credentials},
    store::{
        Scope,
        networks::{self as connections, Connection, NewConnection},
    },
    uplink::Rule,
};

pub mod check;
pub mod downlink_settings;

/// Checks the settings by themselves.
pub fn check(settings: &NetworkSettings) -> Result<()> {
    settings
        .check()
        .map_err(|broken| Error::broken(format!("settings.{broken}")))
}

/// Returns the host from which the hub fetches a connection's messages, with its field.
fn hosts(settings: &Value) -> Result<Vec<(String, String)>> {
    let settings = NetworkSettings::deserialize(settings).map_err(Error::internal)?;
    let broker = settings
        .subscription()
        .and_then(|subscription| host_of(&subscription.broker.url));
    let host = broker.map(|host| ("settings.broker.url".to_owned(), host));
    Ok(host.into_iter().collect())
}

/// Checks that the devices that an auto-provisioning rule creates would be valid.
async fn check_rule(scope: &Scope, new: &NewConnection) -> Result<()> {
    let Some(rule) = &new.auto_provisioning else {
        return Ok(());
    };
    let device = Rule::read(rule.clone())?.example();
    let known = References::of(scope, [&device]).await?;
    known
        .check(device)
        .map(|_| ())
        .map_err(|error| error.within("auto_provisioning"))
}

impl Hub {
    /// Adds a connection. `claims` are the secrets that its settings require. The second returned value is
    /// its ingest key, which is shown only once.
    pub async fn create_connection(
        &self,
        scope: &Scope,
        new: NewConnection,
        claims: &[Claim],
    ) -> Result<(Connection, String)> {
        check_rule(scope, &new).await?;
        let (key, hash) = secret::new_token();
        let settings = new.settings.clone();
        self.check_hosts(&hosts(&settings)?)?;
        let seal = |id: ConnectionId| {
            let place = networks::place(scope.tenant(), id.0);
            self.seal(&place, claims, &settings, None, |secrets| {
                Self::check_broker(&settings, secrets)
            })
        };
        let connection = connections::insert(scope, new, &hash, seal).await?;
        Ok((connection, key))
    }

    /// Replaces a connection. An omitted secret is kept, as long as the type of network server and the
    /// address of the secret stay the same.
    pub async fn update_connection(
        &self,
        scope: &Scope,
        id: ConnectionId,
        new: NewConnection,
        claims: &[Claim],
    ) -> Result<Connection> {
        // Checked first: a missing connection must be reported as missing, not as an invalid rule.
        connections::get(scope, id).await?;
        check_rule(scope, &new).await?;
        let (kind, settings) = (new.kind.clone(), new.settings.clone());
        let place = networks::place(scope.tenant(), id.0);
        let hosts_now = hosts(&settings)?;
        let seal = |before: &NewConnection| {
            // Hosts that stay as they are must not keep a connection from being disabled or renamed.
            if hosts_now != hosts(&before.settings)? {
                self.check_hosts(&hosts_now)?;
            }
            let stored = (before.kind == kind).then(|| before.stored());
            self.seal(&place, claims, &settings, stored, |secrets| {
                Self::check_broker(&settings, secrets)
            })
        };
        connections::update(scope, id, new, seal).await
    }

    fn check_broker(settings: &Value, secrets: &Credentials) -> Result<()> {
        let settings = NetworkSettings::deserialize(settings).map_err(Error::internal)?;
        if let Some(subscription) = settings.subscription() {
            subscription
                .broker(secrets, "")
                .map_err(|broken| Error::broken(format!("settings.broker.{broken}")))?;
        }
        Ok(())
    }

    /// Generates a new ingest key for a connection; the old one is invalid at once.
    pub async fn renew_ingest_key(
        &self,
        scope: &Scope,
        id: ConnectionId,
    ) -> Result<(Connection, String)> {
        let (key, hash) = secret::new_token();
        Ok((connections::set_ingest_key(scope, id, &hash).await?, key))
    }
}
