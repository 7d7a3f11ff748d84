//! Partitions of uplinks and events on PostgreSQL: made for the days ahead, and dropped as a whole when all of their
//! rows are old.
//!
//! A partition has a range of ids, which sort by the time of recording. Its length is a part of the longest retention,
//! so that their number stays small: each adds to the time of a query by device. Making and dropping one needs locks
//! for which writers wait, so both give up soon, and are tried again with the next search for old rows.

use chrono::{DurationRound, TimeDelta};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use super::{Dropped, Kind, Sweep};
use crate::{
    clock::Time,
    error::Result,
    id::{first_uuid_at, time_of},
    store::core::handle::Store,
};

/// Number of partitions for the time for which rows are kept.
const PARTITIONS: i32 = 13;
/// Maximum length of a partition.
const DAYS_MAX: i32 = 364;
/// Time ahead for which there are partitions.
const AHEAD: TimeDelta = TimeDelta::days(7);
/// Time after which the first partition begins if there is none for the current time. Until then, rows are in the
/// default partition.
const GAP: TimeDelta = TimeDelta::minutes(2);

/// Partition of a table.
#[derive(Debug, PartialEq, Eq)]
struct Partition {
    name: String,
    /// First id; `None` for the partition of all rows from before there were partitions.
    from: Option<Uuid>,
    /// First id after it.
    to: Uuid,
}

impl Sweep {
    /// Drops the partitions whose rows are all old, and makes those that will be needed. From now on the pass leaves
    /// rows alone that will be dropped with their partition.
    pub async fn renew_partitions(&mut self, store: &Store) -> Result<Dropped> {
        let mut dropped = Dropped::default();
        let Some(table) = table(self.kind).filter(|_| store.is_shared()) else {
            return Ok(dropped);
        };
        let mut partitions = store.partitions(table).await?;
        let kept = self.longest();
        for partition in &partitions {
            let end = time_of(partition.to);
            let is_over = kept.is_some_and(|kept| end.is_some_and(|end| end <= self.now - kept));
            if is_over && let Some(bytes) = store.drop_partition(table, &partition.name).await? {
                dropped.partitions += 1;
                dropped.bytes += bytes;
            }
        }
        if store.make_partitions(table, kept, &partitions).await? || dropped.partitions > 0 {
            partitions = store.partitions(table).await?;
        }
        // After a change of the retention there are longer ones, whose rows would live for too long.
        let is_short = |partition: &&Partition| {
            let longest = length(kept) * 2;
            partition.length().is_some_and(|length| length <= longest)
        };
        let first = partitions.iter().filter(is_short);
        let first = first.filter_map(|partition| partition.from).min();
        self.dropped = kept.zip(first.and_then(time_of));
        Ok(dropped)
    }

    /// Returns the longest time for which rows of the kind are kept; `None` for no limit.
    fn longest(&self) -> Option<TimeDelta> {
        match self.kind {
            Kind::Events => self.keeping.events,
            _ if self.tenants.is_empty() => self.keeping.uplinks,
            _ => self
                .tenants
                .values()
                .map(|days| self.kept_by(*days))
                // `None` is no limit, although it is less than any time.
                .reduce(|one, other| Some(one?.max(other?)))
                .flatten(),
        }
    }

    /// Returns the time before which single rows are deleted, if they are kept for this time. Younger rows with the
    /// longest retention go with their partition.
    pub(super) fn single_before(&self, kept: TimeDelta) -> Time {
        let before = self.now - kept;
        match self.dropped {
            Some((longest, from)) if longest == kept => before.min(from),
            _ => before,
        }
    }
}

impl Store {
    /// Returns the partitions of a table, in order, without the default one.
    async fn partitions(&self, table: &str) -> Result<Vec<Partition>> {
        let query = format!(
            "SELECT relname::text, pg_get_expr(relpartbound, pg_class.oid) FROM pg_inherits \
             JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = to_regclass('{table}')"
        );
        let query = Statement::from_string(DbBackend::Postgres, query);
        let mut partitions = Vec::new();
        for row in self.inner.reader.query_all_raw(query).await? {
            let (name, bounds): (String, String) =
                (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            partitions.extend(Partition::parse(name, &bounds));
        }
        partitions.sort_by_key(|partition| partition.to);
        Ok(partitions)
    }

    /// Drops a partition; returns its size, or `None` if others use the table for long.
    async fn drop_partition(&self, table: &str, name: &str) -> Result<Option<u64>> {
        let size = format!("SELECT pg_total_relation_size(to_regclass('{name}'))");
        let size = Statement::from_string(DbBackend::Postgres, size);
        let size = self.inner.reader.query_one_raw(size).await?;
        let size: Option<i64> = match size {
            Some(row) => row.try_get_by_index(0)?,
            None => None,
        };
        self.with_locks(&format!(
            "LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE; DROP TABLE {name}"
        ))
        .await?;
        if self
            .partitions(table)
            .await?
            .iter()
            .any(|one| one.name == name)
        {
            tracing::debug!("{name} is dropped later: others use the table");
            return Ok(None);
        }
        tracing::info!("dropped the partition {name}, whose rows were all old");
        Ok(Some(
            size.and_then(|size| size.try_into().ok()).unwrap_or(0),
        ))
    }

    /// Makes the partitions that will be needed. Returns true if it has tried.
    async fn make_partitions(
        &self,
        table: &str,
        kept: Option<TimeDelta>,
        partitions: &[Partition],
    ) -> Result<bool> {
        let now = self.now();
        let minute = TimeDelta::minutes(1);
        let soon = (now + GAP).duration_trunc(minute).unwrap_or(now + GAP);
        let last = partitions.last().and_then(|last| time_of(last.to));
        let mut from = match last {
            Some(last) if last > now => last,
            _ => soon,
        };
        let mut has_tried = false;
        while from < now + AHEAD {
            let to = from + length(kept);
            if !self.has_default_rows(table, from, to).await? {
                self.make_partition(table, from, to).await?;
                has_tried = true;
            }
            from = to;
        }
        Ok(has_tried)
    }

    async fn make_partition(&self, table: &str, from: Time, to: Time) -> Result<()> {
        let name = format!("{table}_{}", from.format("%Y%m%d%H%M"));
        let (first, after) = (first_uuid_at(from), first_uuid_at(to));
        // Attaching needs weaker locks than creating it in its place.
        self.with_locks(&format!(
            "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS); \
             ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{first}') TO ('{after}')"
        ))
        .await
    }

    /// True if the default partition has rows in a range. They can be in no other partition then.
    async fn has_default_rows(&self, table: &str, from: Time, to: Time) -> Result<bool> {
        let (first, after) = (first_uuid_at(from), first_uuid_at(to));
        let query = format!(
            "SELECT EXISTS (SELECT FROM {table}_default WHERE id >= '{first}' AND id < '{after}')"
        );
        let query = Statement::from_string(DbBackend::Postgres, query);
        let row = self.inner.reader.query_one_raw(query).await?;
        Ok(row.map_or(Ok(false), |row| row.try_get_by_index(0))?)
    }

    /// Runs statements, or none of them if they do not get their locks soon, or if rows are in the default partition.
    async fn with_locks(&self, statements: &str) -> Result<()> {
        let block = format!(
            "DO $$ BEGIN PERFORM set_config('lock_timeout', '100ms', true); {statements}; \
             EXCEPTION WHEN lock_not_available OR check_violation THEN NULL; END $$"
        );
        self.inner.writer.execute_unprepared(&block).await?;
        Ok(())
    }
}

impl Partition {
    /// Returns the time between its ends; `None` if it has no beginning.
    fn length(&self) -> Option<TimeDelta> {
        Some(time_of(self.to)? - time_of(self.from?)?)
    }

    /// Reads the bounds as PostgreSQL shows them; `None` for the default partition.
    fn parse(name: String, bounds: &str) -> Option<Self> {
        let (from, to) = bounds.split_once(" TO ")?;
        let id = |text: &str| text.split('\'').nth(1)?.parse().ok();
        Some(Self {
            name,
            from: id(from),
            to: id(to)?,
        })
    }
}

/// Returns the table with rows of a kind, if it has partitions.
fn table(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Uplinks => Some("uplinks"),
        Kind::Events => Some("events"),
        _ => None,
    }
}

/// Returns the length of a partition of rows that are kept for this time.
fn length(kept: Option<TimeDelta>) -> TimeDelta {
    let days = kept.map_or(DAYS_MAX.into(), |kept| {
        let parts = i64::from(PARTITIONS);
        (kept.num_days() + parts - 1) / parts
    });
    TimeDelta::days(days.clamp(1, DAYS_MAX.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read() {
        let id = "019ad4c8-7800-7000-8000-000000000000";
        let later = "019adf15-3000-7000-8000-000000000000";
        let parse = |bounds: &str| Partition::parse("p".to_owned(), bounds);
        let bounds = format!("FOR VALUES FROM ('{id}') TO ('{later}')");
        let partition = parse(&bounds).unwrap();
        assert_eq!(partition.from, Some(id.parse().unwrap()));
        assert_eq!(partition.to, later.parse::<Uuid>().unwrap());
        assert_eq!(partition.length(), Some(TimeDelta::days(2)));
        let first = parse(&format!("FOR VALUES FROM (MINVALUE) TO ('{id}')")).unwrap();
        assert_eq!((first.from, first.to), (None, id.parse().unwrap()));
        assert_eq!(parse("DEFAULT"), None);
    }

    #[test]
    fn there_are_few_partitions_for_every_retention() {
        let length = |days| length(Some(TimeDelta::days(days))).num_days();
        assert_eq!([1, 13, 14, 30, 90, 365].map(length), [1, 1, 2, 3, 7, 29]);
        assert_eq!(length(36_500), 364);
        assert_eq!(super::length(None).num_days(), 364);
    }
}
