//! Records the last use of API keys in the background: a request that only reads must not wait for a write.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    id::ApiKeyId,
    store::{Scope, access::api_keys},
};

/// Precision of the last use: a key in use costs no more than one write per minute.
const EVERY: Duration = Duration::from_secs(60);

/// Records the uses of keys.
#[derive(Default)]
pub struct KeyUses {
    /// Time at which this hub last recorded a use of each key.
    begun: Mutex<HashMap<ApiKeyId, Instant>>,
}

impl KeyUses {
    /// Records the use of a key, unless it was recorded within the last minute.
    pub fn note(self: &Arc<Self>, scope: &Scope, id: ApiKeyId) {
        if !self.is_due(id, Instant::now()) {
            return;
        }
        let scope = scope.clone();
        tokio::spawn(async move {
            if let Err(error) = api_keys::touch(&scope, id).await {
                tracing::warn!("the use of API key {id} was not noted: {error}");
            }
        });
    }

    fn is_due(&self, id: ApiKeyId, now: Instant) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < EVERY;
        if begun.get(&id).is_some_and(is_recent) {
            return false;
        }
        begun.retain(|_, at| is_recent(at));
        begun.insert(id, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_noted_once_a_minute_and_then_forgotten() {
        let (uses, start) = (KeyUses::default(), Instant::now());
        let (one, other) = (ApiKeyId(1), ApiKeyId(2));
        assert!(uses.is_due(one, start));
        assert!(!uses.is_due(one, start));
        assert!(uses.is_due(other, start + EVERY / 2));
        assert!(uses.is_due(one, start + EVERY));
        assert!(!uses.is_due(other, start + EVERY));
        assert!(uses.is_due(other, start + EVERY * 3));
        assert_eq!(uses.begun.lock().unwrap().len(), 1);
    }
}
