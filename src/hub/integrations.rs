//! Integrations: their credentials are sealed, and the delivery engine learns of every change.

use super::Hub;
use crate::{
    delivery::VAULT_PURPOSE,
    error::Result,
    id::IntegrationId,
    store::{
        Scope,
        integrations::{self, Integration, NewIntegration},
    },
};

impl Hub {
    /// Adds an integration; `secret` is what its target needs to be let in.
    pub async fn create_integration(
        &self,
        scope: &Scope,
        new: NewIntegration,
        secret: Option<&str>,
    ) -> Result<Integration> {
        let integration = integrations::insert(scope, self.sealed(new, secret)?).await?;
        self.wake.integration(scope.tenant(), integration.id);
        Ok(integration)
    }

    /// Replaces an integration; without a new secret the old one stays.
    pub async fn update_integration(
        &self,
        scope: &Scope,
        id: IntegrationId,
        new: NewIntegration,
        secret: Option<&str>,
    ) -> Result<Integration> {
        let integration = integrations::update(scope, id, self.sealed(new, secret)?).await?;
        self.wake.integration(scope.tenant(), id);
        Ok(integration)
    }

    fn sealed(&self, mut new: NewIntegration, secret: Option<&str>) -> Result<NewIntegration> {
        new.secret = secret
            .map(|secret| self.vault.seal(VAULT_PURPOSE, secret))
            .transpose()?;
        Ok(new)
    }
}
