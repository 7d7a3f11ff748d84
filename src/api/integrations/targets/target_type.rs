//! The trait by which each type of target describes itself.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::{Error, Result},
    secret::Claim,
};

/// A target as it is stored.
pub struct Provisioned {
    /// Which type it is.
    pub kind: &'static str,
    /// What may be read by everybody.
    pub settings: Value,
    /// The secrets that it asks for.
    pub claims: Vec<Claim>,
}

/// A rule of several fields that a target breaks.
pub struct BrokenRule {
    field: &'static str,
    rule: &'static str,
}

impl BrokenRule {
    /// The field to change, and the rule.
    pub fn new(field: &'static str, rule: &'static str) -> Self {
        Self { field, rule }
    }
}

/// One type of target.
pub trait TargetType: Serialize {
    /// Its name.
    const KIND: &'static str;

    /// The secrets that it asks for. They are no part of what is serialized.
    fn take_claims(&mut self) -> Vec<Claim>;

    /// The rule of several fields that it breaks.
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

/// Reads stored settings.
pub fn read<T: DeserializeOwned>(settings: Value) -> Result<T> {
    serde_json::from_value(settings).map_err(Error::internal)
}
