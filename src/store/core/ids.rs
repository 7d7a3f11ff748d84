//! Ids of what is recorded: they sort in the order in which it was recorded, whichever hub did it.
//!
//! Their time is the one that all hubs share. Whoever holds a device reads it from the database, behind the
//! lock, so that of two uplinks of the device the later one has the greater id. Where the clock of a file's hub was
//! set back, ids go on from the greatest there is, also in the next hub.

use std::sync::Arc;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::{
    clock::Time,
    id::{Sequence, time_of},
};

/// What the hub makes ids by.
#[derive(Default)]
pub(in crate::store) struct Sequences {
    /// Of what is recorded behind locks. It never goes back, and so must not follow a reading that was wrong.
    recorded: Arc<Sequence>,
    others: Arc<Sequence>,
}

/// Makes the ids of one transaction.
#[derive(Clone)]
pub(in crate::store) struct Ids {
    sequence: Arc<Sequence>,
    time: Time,
}

impl Ids {
    /// The next one.
    pub(in crate::store) fn next(&self) -> Uuid {
        self.sequence.next(self.time)
    }
}

impl Sequences {
    /// Ids of what is recorded at this time, read behind the locks of what it belongs to.
    pub fn recorded_at(&self, time: Time) -> Ids {
        Ids {
            sequence: self.recorded.clone(),
            time,
        }
    }

    /// Ids of what happens at this time.
    pub fn others_at(&self, time: Time) -> Ids {
        Ids {
            sequence: self.others.clone(),
            time,
        }
    }

    /// Has all ids go on behind this one.
    pub fn go_on_from(&self, id: Uuid) {
        if let Some(made_at) = time_of(id) {
            let next = made_at + TimeDelta::milliseconds(1);
            self.recorded.next(next);
            self.others.next(next);
        }
    }
}
