//! Time by which rows count as old. A clock that is ahead by mistake must not cost data, so a jump ahead is believed
//! only after a while, in which the clock can be put right.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::Result,
    id,
    store::{
        core::handle::Store,
        entities::{audit_entry, event, uplink},
    },
};

/// Time after which a jump of the clock is believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(3600);
/// Time between the newest record and the start of the hub that counts as a jump of the clock.
const SILENCE_MAX: TimeDelta = TimeDelta::days(1);

/// Finds out the time by which rows count as old.
pub struct Calendar {
    began: Instant,
    /// Time of the newest record at the start.
    newest: Option<Time>,
    /// True if the log says that rows are kept for now.
    is_told: bool,
}

impl Calendar {
    /// Begins at the start of the hub.
    pub async fn begin(store: &Store) -> Result<Self> {
        let newest = [
            newest::<uplink::Entity>(store, uplink::Column::Id).await?,
            newest::<event::Entity>(store, event::Column::Id).await?,
            newest::<audit_entry::Entity>(store, audit_entry::Column::Id).await?,
        ];
        Ok(Self {
            began: Instant::now(),
            newest: newest.into_iter().flatten().max().and_then(id::time_of),
            is_told: false,
        })
    }

    /// Returns the time by which rows count as old: the time that all hubs share, or an earlier one for an hour after
    /// the clock has jumped ahead.
    pub fn now(&mut self, store: &Store) -> Time {
        let now = store.inner.clock.moment().earliest(BELIEVED_AFTER);
        let believed = believed(now, self.newest, self.began.elapsed());
        let is_behind = believed + SILENCE_MAX < store.now();
        if is_behind && !self.is_told {
            tracing::warn!(
                "rows count as old by the time {believed} for an hour: the clock may be wrong, because it has jumped ahead \
                 or there are no newer records"
            );
        }
        self.is_told = is_behind;
        believed
    }
}

/// Returns the time by which rows count as old on a hub that began this long ago, where the newest record was from
/// `newest`.
fn believed(now: Time, newest: Option<Time>, running: Duration) -> Time {
    match newest {
        Some(newest) if running < BELIEVED_AFTER => now.min(newest + SILENCE_MAX),
        _ => now,
    }
}

/// Returns the greatest id of a table.
async fn newest<E: EntityTrait>(store: &Store, id: E::Column) -> Result<Option<Uuid>> {
    let found = E::find()
        .select_only()
        .column(id)
        .filter(id.lt(Uuid::max()))
        .order_by_desc(id)
        .limit(1)
        .into_tuple();
    Ok(match store.begin_search().await? {
        Some(transaction) => {
            let found = found.one(&transaction).await;
            transaction.finish(found).await?
        }
        None => found.one(&store.inner.reader).await?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_has_jumped_ahead_is_believed_after_an_hour() {
        let now: Time = "2026-11-30T12:00:00Z".parse().unwrap();
        let (short, long) = (Duration::from_secs(3599), Duration::from_secs(3600));
        let days_ago = |days| Some(now - TimeDelta::days(days));
        let yesterday = now - TimeDelta::days(1);
        for (newest, running, expected) in [
            (None, short, now),
            (days_ago(0), short, now),
            (days_ago(1), short, now),
            (days_ago(2), short, yesterday),
            (days_ago(2), long, now),
        ] {
            assert_eq!(
                believed(now, newest, running),
                expected,
                "{newest:?} {running:?}"
            );
        }
    }
}
