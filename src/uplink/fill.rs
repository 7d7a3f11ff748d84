//! Adds the rows of stored uplinks to data tables, in the background, in chunks that alternate between the fills.
//!
//! The rows are made of the data that are stored with the uplinks, as if the data table had existed when they arrived;
//! the devices are as they are now. When a hub fails, another one continues its fills.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use chrono::TimeDelta;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    record,
    route::{Column, TableRoute},
};
use crate::{
    clock::Time,
    codec::output,
    error::{Error, Result},
    id::{DataTableId, FillId, TenantId},
    jobs::Jobs,
    selector::Selector,
    store::{
        Scope, Store,
        data::{
            self, DataTable, NewRow,
            fills::{self, Chunk, Fill, NewFill, State},
        },
        devices::{
            uplinks::Uplink,
            walk::{self, Ahead},
        },
    },
    supervise::attempted,
};

/// Pause when the database is unavailable.
const PAUSE: Duration = Duration::from_secs(1);
/// Maximum number of fills with prefetched uplinks; some of them may run on another hub by now.
const AHEAD_MAX: usize = 32;

/// Handle that starts fills.
#[derive(Clone)]
pub struct Fills {
    begun: mpsc::UnboundedSender<(TenantId, FillId)>,
}

/// Worker that runs fills.
pub struct Filler {
    jobs: Jobs<FillId>,
    store: Store,
    /// Prefetched uplinks by fill.
    ahead: HashMap<FillId, Ahead>,
}

impl Fills {
    /// Stores the fill and notifies the filler.
    pub async fn begin(&self, scope: &Scope, table: DataTableId, new: NewFill) -> Result<Fill> {
        let fill = fills::insert(scope, table, new).await?;
        // During shutdown the send fails; the fill then waits in the database.
        let _ = self.begun.send((scope.tenant(), fill.id));
        Ok(fill)
    }
}

impl Filler {
    /// Creates a filler and the handle that starts fills.
    pub fn new(store: Store) -> (Self, Fills) {
        let (sender, begun) = mpsc::unbounded_channel();
        let filler = Self {
            jobs: Jobs::new("fill", store.clone(), begun),
            store,
            ahead: HashMap::new(),
        };
        (filler, Fills { begun: sender })
    }

    /// Runs until `stop` is cancelled, and finishes the current chunk first.
    pub async fn run(&mut self, stop: CancellationToken) {
        let store = self.store.clone();
        let unfinished = || store.running_fills();
        while let Some((tenant, id)) = self.jobs.next(&stop, unfinished).await {
            let scope = self.store.scope(tenant);
            match attempted("fill", self.step(&scope, id)).await {
                Ok(true) => {
                    self.jobs.went_on(id);
                    self.jobs.put_back(tenant, id);
                }
                Ok(false) => self.end(id).await,
                Err(error) => {
                    // A chunk that was fetched and not written is read again.
                    self.ahead.remove(&id);
                    let cause = error.causes();
                    if self.jobs.may_pass(id, &error) {
                        tracing::warn!(fill.id = id.0, cause, "fill waits");
                        self.jobs.put_back(tenant, id);
                        let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
                        continue;
                    }
                    tracing::error!(fill.id = id.0, cause, "fill given up");
                    if let Err(error) = fills::give_up(&scope, id).await {
                        let cause = error.causes();
                        tracing::warn!(fill.id = id.0, cause, "fill stays unfinished");
                    }
                    self.end(id).await;
                }
            }
        }
        self.jobs.leave().await;
    }

    async fn end(&mut self, id: FillId) {
        self.ahead.remove(&id);
        self.jobs.end(id).await;
    }

    /// Writes a chunk. Returns true if there may be more.
    async fn step(&mut self, scope: &Scope, id: FillId) -> Result<bool> {
        let fill = fills::find(scope, id).await?;
        let Some(fill) = fill.filter(|fill| fill.state == State::Running) else {
            return Ok(false);
        };
        let Some(table) = data::find::<Column>(scope, fill.table).await? else {
            return Ok(false);
        };
        let selector = Selector::parse(&table.provisioned.selector).map_err(Error::internal)?;
        if self.ahead.len() > AHEAD_MAX {
            self.ahead.clear();
        }
        let ahead = self.ahead.entry(id).or_default();
        let (stored, last) = walk::next(scope, &fill.walk(), ahead).await?;
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
        fills::write(scope, &fill, &chunk, |uplink| rows.of(uplink)).await?;
        Ok(chunk.last.is_some())
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
