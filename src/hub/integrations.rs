//! Integrations: their credentials are sealed, and the delivery engine learns of every change.

use super::Hub;
use crate::{
    delivery::{Payload, VAULT_PURPOSE},
    error::{Error, Result},
    id::IntegrationId,
    secret::{self, Claim, SealedCredentials},
    store::{
        Scope,
        integrations::{self, Integration, NewIntegration},
    },
};

/// The name of the secret that a follower shows.
pub const STREAM_KEY: &str = "stream_key";

impl Hub {
    /// Adds an integration; `claims` are the secrets that its target needs to be let in.
    pub async fn create_integration(
        &self,
        scope: &Scope,
        mut new: NewIntegration,
        claims: &[Claim],
    ) -> Result<Integration> {
        self.check_integration(&new)?;
        new.secret = self.sealed(claims, None)?;
        let integration = integrations::insert(scope, new).await?;
        self.wake.integration(scope.tenant(), integration.id);
        Ok(integration)
    }

    /// Replaces an integration. A secret that is claimed and not given stays as it was, while the
    /// type of the target does.
    pub async fn update_integration(
        &self,
        scope: &Scope,
        id: IntegrationId,
        new: NewIntegration,
        claims: &[Claim],
    ) -> Result<Integration> {
        self.check_integration(&new)?;
        let kind = new.kind.clone();
        let seal = |before: &NewIntegration| {
            let is_same = before.kind == kind;
            self.sealed(claims, before.secret.as_deref().filter(|_| is_same))
        };
        let integration = integrations::update(scope, id, new, seal).await?;
        self.wake.integration(scope.tenant(), id);
        Ok(integration)
    }

    /// Makes the key of an integration whose type has one: what an `http` target signs with, or what a
    /// follower of a `websocket` shows. The old key is dead at once.
    pub async fn renew_integration_key(
        &self,
        scope: &Scope,
        id: IntegrationId,
    ) -> Result<(Integration, String)> {
        let kind = integrations::get(scope, id).await?.provisioned.kind;
        let (name, key) = match kind.as_str() {
            "http" => ("signing_secret", secret::new_signing_secret()),
            "websocket" => (STREAM_KEY, secret::new_token().0),
            kind => {
                let rule = format!("an integration of the type {kind} has no key");
                return Err(Error::Conflict(rule));
            }
        };
        let seal = |before: &NewIntegration| {
            let old = SealedCredentials::read(before.secret.as_deref());
            let sealed = self.vault.seal_one(VAULT_PURPOSE, name, &key, old)?;
            Ok(sealed.write())
        };
        let integration = integrations::set_secret(scope, id, seal).await?;
        self.wake.integration(scope.tenant(), id);
        Ok((integration, key))
    }

    /// The rules that the settings and the operator make.
    fn check_integration(&self, new: &NewIntegration) -> Result<()> {
        if new.kind == "file" && self.config.file_targets_dir.is_none() {
            let rule = "file needs the operator's setting file_targets_dir";
            return Err(Error::field("target.type", rule));
        }
        check_payload(new)
    }

    fn sealed(&self, claims: &[Claim], old: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let old = SealedCredentials::read(old);
        let sealed = self.vault.seal_claims(VAULT_PURPOSE, claims, &old)?;
        Ok(sealed.write())
    }
}

/// A template must read before anything is sent by it.
fn check_payload(new: &NewIntegration) -> Result<()> {
    match Payload::read(&new.payload) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::field("payload.template", error)),
    }
}
