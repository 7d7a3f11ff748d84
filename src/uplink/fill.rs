//! Adds the rows of stored uplinks to data tables, in the background, in chunks that alternate between the fills.
//!
//! The rows are made of the data that are stored with the uplinks, as if the data table had existed when they arrived;
//! the devices are as they are now. When a hub fails, another one continues its fills.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{
    record,
    route::{Column, TableRoute},
};
use crate::{
    clock::Time,
    codec::output,
    error::{Error, Result},
    id::{DataTableId, FillId, TenantId},
    jobs::{Starter, Step, Work, Worker},
    selector::Selector,
    store::{
        Scope, Store,
        core::jobs::State,
        data::{
            self, DataTable, NewRow,
            filling::{self, Chunk},
            fills::{self, Fill, NewFill},
        },
        devices::{uplinks::Uplink, walk::Walks},
    },
};

/// Handle that starts fills.
#[derive(Clone)]
pub struct Fills {
    starter: Starter<FillId>,
}

/// Worker that runs fills.
pub type Filler = Worker<Filling>;

/// Work of fills.
#[derive(Default)]
pub struct Filling {
    walks: Walks<FillId>,
}

impl Fills {
    /// Creates a filler and the handle that starts fills.
    pub fn new(store: Store) -> (Filler, Self) {
        let (filler, starter) = Worker::new(store, Filling::default());
        (filler, Self { starter })
    }

    /// Stores the fill and notifies the filler.
    pub async fn begin(&self, scope: &Scope, table: DataTableId, new: NewFill) -> Result<Fill> {
        let fill = fills::insert(scope, table, new).await?;
        self.starter.start(scope, fill.id);
        Ok(fill)
    }
}

impl Work for Filling {
    type Id = FillId;

    const KIND: &'static str = "fill";

    async fn unfinished(store: &Store) -> Result<Vec<(TenantId, FillId)>> {
        store.running_fills().await
    }

    async fn give_up(scope: &Scope, id: FillId) -> Result<()> {
        fills::give_up(scope, id).await
    }

    fn forget(&mut self, id: FillId) {
        self.walks.forget(&id);
    }

    /// Writes a chunk.
    async fn step(&mut self, scope: &Scope, id: FillId) -> Result<Step> {
        let fill = fills::find(scope, id).await?;
        let Some(fill) = fill.filter(|fill| fill.state == State::Running) else {
            return Ok(Step::Done);
        };
        let Some(table) = data::find::<Column>(scope, fill.table).await? else {
            return Ok(Step::Done);
        };
        let selector = Selector::parse(&table.provisioned.selector).map_err(Error::internal)?;
        let (stored, last) = self.walks.next(scope, id, &fill.walk()).await?;
        let mut chunk = Chunk {
            uplinks: Vec::new(),
            devices: BTreeMap::new(),
            seen: stored.len(),
            last,
        };
        for (uplink, device) in stored {
            if uplink.data.is_some() && selector.matches(&device.provisioned.labels) {
                chunk.uplinks.push(uplink.id);
                chunk.devices.insert(device.key.0, device.provisioned.id);
            }
        }
        let rows = Rows::new(table, scope.now());
        filling::write(scope, &fill, &chunk, |uplink| rows.of(uplink)).await?;
        Ok(match chunk.last {
            Some(_) => Step::GoOn,
            None => Step::Done,
        })
    }
}

/// Makes the rows of a data table.
struct Rows {
    tables: [TableRoute; 1],
    /// Time before which rows are no longer kept.
    oldest: Option<Time>,
}

impl Rows {
    fn new(table: DataTable<Column>, now: Time) -> Self {
        let kept = table.provisioned.retention_days;
        let kept = kept.and_then(|days| TimeDelta::try_days(days.into()));
        Self {
            tables: [TableRoute {
                id: table.id,
                columns: table.provisioned.columns,
            }],
            oldest: kept.and_then(|kept| now.checked_sub_signed(kept)),
        }
    }

    fn of(&self, uplink: &Uplink) -> Vec<NewRow> {
        let updates = uplink.updates.as_ref().and_then(output::from_json);
        let data = uplink.data.as_ref();
        let mut rows = record::rows(&self.tables, uplink.time, data, updates.as_deref());
        rows.retain(|row| self.oldest.is_none_or(|oldest| row.time >= oldest));
        rows
    }
}
