//! Identifiers of records, which sort in the order of recording, whichever hub records.
//!
//! Their time comes from the clock that all hubs share. A hub that has locked a device reads the time from the
//! database after that, so of two uplinks of the device the later one has the greater identifier. If the clock of a
//! file's hub is set back, identifiers continue from the greatest existing one, in the next hub as well.

use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::{
    clock::Time,
    id::{Sequence, time_of},
};

/// Sequences from which the hub makes identifiers.
#[derive(Default)]
pub(in crate::store) struct Sequences {
    /// Sequence for records made under locks. It never goes back, so it must not follow a wrong reading of the time.
    recorded: Arc<Sequence>,
    others: Arc<Sequence>,
}

/// Generator of the identifiers of one transaction.
#[derive(Clone)]
pub(in crate::store) struct Ids {
    sequence: Arc<Sequence>,
    time: Time,
}

impl Ids {
    /// Returns the next identifier.
    pub(in crate::store) fn next(&self) -> Uuid {
        self.sequence.next(self.time)
    }
}

impl Sequences {
    /// Returns identifiers for records made at this time, which is read while the owning rows are locked.
    pub fn recorded_at(&self, time: Time) -> Ids {
        Ids {
            sequence: self.recorded.clone(),
            time,
        }
    }

    /// Returns identifiers for this time.
    pub fn others_at(&self, time: Time) -> Ids {
        Ids {
            sequence: self.others.clone(),
            time,
        }
    }

    /// Makes all later identifiers greater than this one.
    pub fn go_on_from(&self, id: Uuid) {
        if let Some(made_at) = time_of(id) {
            let next = made_at + TimeDelta::milliseconds(1);
            self.recorded.next(next);
            self.others.next(next);
        }
    }
}
