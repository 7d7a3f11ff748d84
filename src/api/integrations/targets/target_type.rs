//! The trait that each type of target implements.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{Error, Result},
    secret::Claim,
};

/// A target in its stored form.
pub struct Provisioned {
    /// Name of the target type.
    pub kind: &'static str,
    /// Settings without secrets.
    pub settings: Value,
    /// Secrets of the target, which are stored encrypted.
    pub claims: Vec<Claim>,
}

/// A rule on several fields that a target breaks.
pub struct BrokenRule {
    field: &'static str,
    rule: &'static str,
}

impl BrokenRule {
    /// Returns a broken rule with the field to change.
    pub fn new(field: &'static str, rule: &'static str) -> Self {
        Self { field, rule }
    }
}

/// A type of target.
pub trait TargetType: Serialize {
    /// Name of the type in the API and in the store.
    const KIND: &'static str;

    /// Takes the secrets out of the settings, so that they are not serialized with them.
    fn take_claims(&mut self) -> Vec<Claim>;

    /// Returns the rule on several fields that the target breaks, if any.
    fn broken_rule(&self) -> Option<BrokenRule> {
        None
    }

    fn provisioned(mut self) -> Result<Provisioned>
    where
        Self: Sized,
    {
        if let Some(BrokenRule { field, rule }) = self.broken_rule() {
            return Err(Error::field(field, rule));
        }
        let claims = self.take_claims();
        Ok(Provisioned {
            kind: Self::KIND,
            settings: serde_json::to_value(self).map_err(Error::internal)?,
            claims,
        })
    }
}

/// Deserializes stored settings.
pub fn read<T: DeserializeOwned>(settings: Value) -> Result<T> {
    serde_json::from_value(settings).map_err(Error::internal)
}
