//! Deliveries that this hub is sending.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

/// Set of the deliveries that this hub is sending.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<Mutex<HashSet<Uuid>>>);

impl UnderWay {
    /// Returns the ids of all of them.
    pub fn ids(&self) -> Vec<Uuid> {
        self.lock().iter().copied().collect()
    }

    /// Returns their number.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    pub fn begin(&self, delivery: Uuid) {
        self.lock().insert(delivery);
    }

    pub fn end(&self, delivery: Uuid) {
        self.lock().remove(&delivery);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
