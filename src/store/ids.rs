//! Ids of what is recorded: they sort in the order in which it was recorded, whichever hub did it.
//!
//! Their time is the one that all hubs share. Whoever holds a device reads it from the database, behind the
//! lock, so that of two uplinks of the device the later one has the greater id.

use std::sync::Arc;

use uuid::Uuid;

use super::{Scope, Store};
use crate::{clock::Time, id::Sequence};

/// What the hub makes ids by.
#[derive(Default)]
pub(super) struct Sequences {
    /// Of what is recorded behind locks. It never goes back, and so must not follow a reading that was wrong.
    recorded: Arc<Sequence>,
    others: Arc<Sequence>,
}

/// Makes the ids of one transaction.
#[derive(Clone)]
pub(super) struct Ids {
    sequence: Arc<Sequence>,
    time: Time,
}

impl Ids {
    /// The next one.
    pub(super) fn next(&self) -> Uuid {
        self.sequence.next(self.time)
    }
}

impl Store {
    /// Ids of what is recorded at this time, read behind the locks of what it belongs to.
    pub(super) fn ids_at(&self, time: Time) -> Ids {
        Ids {
            sequence: self.inner.sequences.recorded.clone(),
            time,
        }
    }

    /// Ids of what happens now.
    pub(super) fn ids(&self) -> Ids {
        Ids {
            sequence: self.inner.sequences.others.clone(),
            time: self.now(),
        }
    }
}

impl Scope {
    /// An id of what happens now.
    pub(super) fn new_id(&self) -> Uuid {
        self.store.ids().next()
    }
}
