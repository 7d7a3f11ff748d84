//! Ids of what is recorded: they sort in the order in which it was recorded, whichever hub did it.
//!
//! Their time is the one that all hubs share. Whoever holds a device reads it from the database, behind the
//! lock, so that of two uplinks of the device the later one has the greater id. Where the clock of a file's hub was
//! set back, ids go on from the greatest there is, also in the next hub.

use std::sync::Arc;

use chrono::TimeDelta;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::listing::KEY_SLACK;
use crate::{
    clock::Time,
    error::Result,
    id::{Sequence, first_uuid_at, time_of},
    store::{
        Scope, Store,
        entities::{delivery, event, uplink},
    },
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

/// The greatest id of a table that is below this one.
async fn greatest<E: EntityTrait>(
    store: &Store,
    id: E::Column,
    below: Uuid,
) -> Result<Option<Uuid>> {
    let found = E::find()
        .select_only()
        .column(id)
        .filter(id.lt(below))
        .order_by_desc(id)
        .limit(1);
    Ok(found.into_tuple().one(&store.inner.reader).await?)
}

impl Store {
    /// Has ids go on from those that are stored, where the only hub has made them. One that is further ahead than
    /// keys may be of times was made by a clock that was wrong, and is left behind. Hubs that share a database
    /// have its time: one that went on from anything else would be ahead of the others.
    pub(in crate::store) async fn go_on_from_stored_ids(&self) -> Result<()> {
        if self.is_shared() {
            return Ok(());
        }
        let below = first_uuid_at(self.now() + KEY_SLACK);
        let sequences = &self.inner.sequences;
        for greatest in [
            greatest::<uplink::Entity>(self, uplink::Column::Id, below).await?,
            greatest::<event::Entity>(self, event::Column::Id, below).await?,
            greatest::<delivery::Entity>(self, delivery::Column::Id, below).await?,
        ] {
            if let Some(made_at) = greatest.and_then(time_of) {
                let next = made_at + TimeDelta::milliseconds(1);
                sequences.recorded.next(next);
                sequences.others.next(next);
            }
        }
        Ok(())
    }

    /// Ids of what is recorded at this time, read behind the locks of what it belongs to.
    pub(in crate::store) fn ids_at(&self, time: Time) -> Ids {
        Ids {
            sequence: self.inner.sequences.recorded.clone(),
            time,
        }
    }

    /// Ids of what happens now.
    pub(in crate::store) fn ids(&self) -> Ids {
        Ids {
            sequence: self.inner.sequences.others.clone(),
            time: self.now(),
        }
    }
}

impl Scope {
    /// An id of what happens now.
    pub(in crate::store) fn new_id(&self) -> Uuid {
        self.store.ids().next()
    }
}
