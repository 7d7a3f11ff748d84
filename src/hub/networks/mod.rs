//! Network connections: a way in for a network server, with a key of its own.

use serde::Deserialize;
use serde_json::Value;

use super::{Hub, devices::Known};
use crate::{
    error::{Error, Result},
    id::ConnectionId,
    networks::{self, NetworkSettings},
    secret::{self, Claim, Credentials},
    store::{
        Scope,
        networks::{self as connections, Connection, NewConnection},
    },
    uplink::Rule,
};

pub mod check;
pub mod downlink_settings;

/// Checks what the settings can tell by themselves.
pub fn check(settings: &NetworkSettings) -> Result<()> {
    settings
        .check()
        .map_err(|broken| Error::field("settings", broken))
}

/// Checks that what a rule of auto-provisioning makes of devices can be made.
async fn check_rule(scope: &Scope, new: &NewConnection) -> Result<()> {
    let Some(rule) = &new.auto_provisioning else {
        return Ok(());
    };
    let device = Rule::read(rule.clone())?.example();
    let known = Known::of(scope, [&device]).await?;
    known
        .check(device)
        .map(|_| ())
        .map_err(|error| match error {
            Error::Invalid(rule) => Error::Invalid(format!("auto_provisioning.{rule}")),
            error => error,
        })
}

impl Hub {
    /// Adds a connection; `claims` are the secrets that its settings ask for. The second value is its
    /// ingest key, which is shown once.
    pub async fn create_connection(
        &self,
        scope: &Scope,
        new: NewConnection,
        claims: &[Claim],
    ) -> Result<(Connection, String)> {
        check_rule(scope, &new).await?;
        let (key, hash) = secret::new_token();
        let settings = new.settings.clone();
        let seal = |id: ConnectionId| {
            let place = networks::place(scope.tenant(), id.0);
            self.seal(&place, claims, &settings, None, |secrets| {
                Self::check_broker(&settings, secrets)
            })
        };
        let connection = connections::insert(scope, new, &hash, seal).await?;
        Ok((connection, key))
    }

    /// Replaces a connection. A secret that is claimed and not given stays as it was, while the type of
    /// network server and the address that it is sent to do.
    pub async fn update_connection(
        &self,
        scope: &Scope,
        id: ConnectionId,
        new: NewConnection,
        claims: &[Claim],
    ) -> Result<Connection> {
        // Before all else: what is not there has no rule that could be wrong.
        connections::get(scope, id).await?;
        check_rule(scope, &new).await?;
        let (kind, settings) = (new.kind.clone(), new.settings.clone());
        let place = networks::place(scope.tenant(), id.0);
        let seal = |before: &NewConnection| {
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
                .map_err(|broken| Error::Invalid(format!("settings.broker.{broken}")))?;
        }
        Ok(())
    }

    /// Gives a connection a new ingest key; the old one is dead at once.
    pub async fn renew_ingest_key(
        &self,
        scope: &Scope,
        id: ConnectionId,
    ) -> Result<(Connection, String)> {
        let (key, hash) = secret::new_token();
        Ok((connections::set_ingest_key(scope, id, &hash).await?, key))
    }
}
