//! When API keys were last used, noted beside the requests that they open: a request that only reads must not
//! wait for the writer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    id::ApiKeyId,
    store::{Scope, access::api_keys},
};

/// Last use is told to a minute, so that a key in use costs no write for each request.
const EVERY: Duration = Duration::from_secs(60);

/// Notes the uses of keys.
#[derive(Default)]
pub struct KeyUses {
    /// When this hub last began to note a use of each key, of those in use.
    begun: Mutex<HashMap<ApiKeyId, Instant>>,
}

impl KeyUses {
    /// Notes that a key has opened something, unless that was noted a moment ago.
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
