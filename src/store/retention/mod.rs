//! Deletion of rows that are older than the time for which they are kept, in chunks beside everything else.
//!
//! Rows are found by indexes only. Ids sort by the time of recording (`id::first_uuid_at`), so the old rows of a table
//! are the beginning of its primary key. Uplinks and rows of data tables have a retention of their tenant or data
//! table, so they are searched by device and by data table. On PostgreSQL, uplinks and events that are kept longest are
//! not deleted one by one: they are dropped with their partition (`partitions.rs`).

mod partitions;
mod rows;
mod time;
mod uplinks;

use std::collections::HashMap;

use chrono::TimeDelta;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    core::{clearing::Cleared, handle::Store, jobs::JobTable, removed},
    entities::{
        audit_entry, data_table_fill, data_table_import, delivery_replay, device_import, event,
        session, stream_key,
    },
};
use crate::{clock::Time, error::Result, id::first_uuid_at};

pub use time::Calendar;

/// Time for which an expired session is kept, so that its token is refused as expired and not as unknown.
const SESSION_KEPT: TimeDelta = TimeDelta::days(1);

/// Rows that are deleted when they are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Idempotency keys with their responses.
    IdempotencyKeys,
    /// Expired stream keys.
    StreamKeys,
    /// Expired sessions.
    Sessions,
    /// Entries of the audit log.
    AuditEntries,
    /// Imports of devices that have ended, with the results of their rows.
    Imports,
    /// Imports of rows into data tables that have ended, with the rows that they have refused.
    RowImports,
    /// Replays of deliveries that have ended.
    Replays,
    /// Fills of data tables that have ended.
    Fills,
    /// Events of devices and network connections.
    Events,
    /// Uplinks of devices.
    Uplinks,
    /// Rows of data tables.
    Rows,
}

impl Kind {
    /// All kinds, in the order in which they are deleted.
    pub const ALL: [Self; 11] = [
        Self::IdempotencyKeys,
        Self::StreamKeys,
        Self::Sessions,
        Self::AuditEntries,
        Self::Imports,
        Self::RowImports,
        Self::Replays,
        Self::Fills,
        Self::Events,
        Self::Uplinks,
        Self::Rows,
    ];

    /// Returns the word for the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IdempotencyKeys => "idempotency_keys",
            Self::StreamKeys => "stream_keys",
            Self::Sessions => "sessions",
            Self::AuditEntries => "audit_entries",
            Self::Imports => "imports",
            Self::RowImports => "row_imports",
            Self::Replays => "replays",
            Self::Fills => "fills",
            Self::Events => "events",
            Self::Uplinks => "uplinks",
            Self::Rows => "rows",
        }
    }
}

/// Time for which rows are kept; `None` for rows that are kept without limit.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// Uplinks of tenants without a retention of their own.
    pub uplinks: Option<TimeDelta>,
    /// Events.
    pub events: Option<TimeDelta>,
    /// Entries of the audit log.
    pub audit_entries: Option<TimeDelta>,
    /// Imports, replays and fills, after their end.
    pub jobs: Option<TimeDelta>,
}

/// One pass over the rows of a kind.
pub struct Sweep {
    kind: Kind,
    now: Time,
    keeping: Keeping,
    /// Key of the last device or data table whose old rows are gone.
    after: i64,
    /// Retention of the tenants' uplinks, in days; for tenants that are not removed.
    tenants: HashMap<i64, Option<i32>>,
    /// The longest retention, and the time from which on rows with it are dropped with their partition.
    dropped: Option<(TimeDelta, Time)>,
}

/// Partitions that were dropped.
#[derive(Debug, Default)]
pub struct Dropped {
    /// Number of partitions.
    pub partitions: u64,
    /// Size of their files.
    pub bytes: u64,
}

impl Sweep {
    /// Begins a pass that deletes what is old at this time.
    pub async fn begin(store: &Store, kind: Kind, keeping: Keeping, now: Time) -> Result<Self> {
        let tenants = match kind {
            Kind::Uplinks => uplinks::tenants(store).await?,
            _ => HashMap::new(),
        };
        Ok(Self {
            kind,
            now,
            keeping,
            after: 0,
            tenants,
            dropped: None,
        })
    }

    /// Deletes the next chunk of at most `limit` rows.
    pub async fn step(&mut self, store: &Store, limit: u64) -> Result<Cleared> {
        let (now, keeping) = (self.now, self.keeping);
        match self.kind {
            Kind::IdempotencyKeys => store.forget_keys(now, limit).await,
            Kind::StreamKeys => {
                use stream_key::{Column, Entity};
                let (which, order) = (Column::ExpiresAt.lte(now), [Column::ExpiresAt]);
                store
                    .clear::<Entity, Vec<u8>>(Column::KeyHash, which, &order, limit)
                    .await
            }
            Kind::Sessions => {
                use session::{Column, Entity};
                let which = Column::ExpiresAt.lt(now - SESSION_KEPT);
                let order = [Column::ExpiresAt];
                store
                    .clear::<Entity, Vec<u8>>(Column::TokenHash, which, &order, limit)
                    .await
            }
            Kind::AuditEntries => match keeping.audit_entries {
                Some(kept) => {
                    let id = audit_entry::Column::Id;
                    store
                        .clear_recorded::<audit_entry::Entity>(id, now - kept, limit)
                        .await
                }
                None => Ok(Cleared::NONE),
            },
            Kind::Events => match keeping.events {
                Some(kept) => {
                    let id = event::Column::Id;
                    store
                        .clear_recorded::<event::Entity>(id, self.single_before(kept), limit)
                        .await
                }
                None => Ok(Cleared::NONE),
            },
            Kind::Imports => match keeping.jobs {
                Some(kept) => store.hide_ended::<device_import::Entity>(now - kept).await,
                None => Ok(Cleared::NONE),
            },
            Kind::RowImports => match keeping.jobs {
                Some(kept) => {
                    store
                        .hide_ended::<data_table_import::Entity>(now - kept)
                        .await
                }
                None => Ok(Cleared::NONE),
            },
            Kind::Replays => match keeping.jobs {
                Some(kept) => {
                    use delivery_replay::{Column, Entity};
                    let which = Column::FinishedAt.lt(now - kept);
                    let order = [Column::FinishedAt];
                    store
                        .clear::<Entity, i64>(Column::Id, which, &order, limit)
                        .await
                }
                None => Ok(Cleared::NONE),
            },
            Kind::Fills => match keeping.jobs {
                Some(kept) => {
                    use data_table_fill::{Column, Entity};
                    let which = Column::FinishedAt.lt(now - kept);
                    let order = [Column::FinishedAt];
                    store
                        .clear::<Entity, i64>(Column::Id, which, &order, limit)
                        .await
                }
                None => Ok(Cleared::NONE),
            },
            Kind::Uplinks => self.step_uplinks(store, limit).await,
            Kind::Rows => self.step_rows(store, limit).await,
        }
    }
}

impl Store {
    /// Deletes a chunk of the rows that were recorded before this time, by ids that sort by the time of recording.
    async fn clear_recorded<E: EntityTrait>(
        &self,
        id: E::Column,
        before: Time,
        limit: u64,
    ) -> Result<Cleared> {
        let which = id.lt(first_uuid_at(before));
        self.clear::<E, Uuid>(id, which, &[id], limit).await
    }

    /// Hides jobs that ended before this time. They may have many rows, which are then deleted like those of removed
    /// resources.
    async fn hide_ended<E: JobTable>(&self, before: Time) -> Result<Cleared> {
        let hidden = E::update_many()
            .col_expr(E::TENANT, Expr::value(removed::REMOVED.0))
            .filter(E::FINISHED.lt(before))
            .filter(removed::is_live(E::TENANT.into_expr()))
            .exec(&self.inner.writer)
            .await?;
        Ok(Cleared {
            rows: hidden.rows_affected,
            ..Cleared::NONE
        })
    }
}
