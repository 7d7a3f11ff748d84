//! Walks over stored uplinks in the order of arrival, chunk by chunk, with their devices.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use sea_orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::{
    error::Result,
    store::{
        core::{gather::padded, listing::Span, scope::Scope},
        devices::{record::Device, uplinks::Uplink},
        entities::{device, device_state, uplink},
    },
};

/// Maximum number of uplinks in a chunk.
pub const CHUNK: usize = 500;
/// Maximum number of a device's uplinks that are sorted at once.
const AHEAD_MAX: u64 = 50_000;
/// Maximum number of jobs with prefetched uplinks; some of them may run on another hub by now.
const JOBS_MAX: usize = 32;

/// Uplinks to walk over.
#[derive(Debug, Clone)]
pub struct Walk {
    /// Period in which the hub received them.
    pub span: Span,
    /// Identifier of the only device; `None` for all.
    pub device_id: Option<String>,
    /// Last uplink of the chunk before; `None` at the start.
    pub position: Option<Uuid>,
}

/// Prefetched identifiers of the next uplinks in a walk over one device. No index has a device's uplinks in the
/// order of arrival, and sorting the remaining ones for each chunk would take longer than all other work.
#[derive(Default)]
struct Ahead(VecDeque<Uuid>);

/// Walks of background jobs, with the prefetched uplinks of each.
pub struct Walks<I>(HashMap<I, Ahead>);

/// Uplink with its device.
pub type Stored = (Uplink, Device);

impl Walk {
    /// Returns the condition for the remaining uplinks.
    fn left(&self) -> Condition {
        use uplink::Column;
        self.span
            .condition(Column::ReceivedAt, Column::Id)
            .add_option(self.position.map(|position| Column::Id.gt(position)))
    }
}

impl Ahead {
    /// Takes the next chunk.
    async fn take(&mut self, scope: &Scope, walk: &Walk, device: &str) -> Result<Vec<Uuid>> {
        // Another hub may have continued the walk.
        while self
            .0
            .front()
            .copied()
            .is_some_and(|id| Some(id) <= walk.position)
        {
            self.0.pop_front();
        }
        if self.0.is_empty() {
            self.0 = Self::read(scope, walk, device).await?;
        }
        let count = self.0.len().min(CHUNK);
        Ok(self.0.drain(..count).collect())
    }

    async fn read(scope: &Scope, walk: &Walk, device: &str) -> Result<VecDeque<Uuid>> {
        use uplink::Column;
        // The uplinks of a removed device are removed, too.
        let key = scope
            .find::<device::Entity>()
            .filter(device::Column::DeviceId.eq(device))
            .one(scope.reader())
            .await?;
        let found: Vec<Uuid> = scope
            .find::<uplink::Entity>()
            .filter(Column::DeviceKey.eq(key.map_or(0, |device| device.id)))
            .filter(walk.left())
            .order_by_asc(Column::Id)
            .limit(AHEAD_MAX)
            .select_only()
            .column(Column::Id)
            .into_tuple()
            .all(scope.reader())
            .await?;
        Ok(found.into())
    }
}

impl<I> Default for Walks<I> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<I: Eq + Hash> Walks<I> {
    /// Returns the next uplinks of a job's walk with their devices, and the last identifier if there may be more.
    pub async fn next(
        &mut self,
        scope: &Scope,
        job: I,
        walk: &Walk,
    ) -> Result<(Vec<Stored>, Option<Uuid>)> {
        if self.0.len() > JOBS_MAX {
            self.0.clear();
        }
        next(scope, walk, self.0.entry(job).or_default()).await
    }

    /// Drops the prefetched uplinks of a job.
    pub fn forget(&mut self, job: &I) {
        self.0.remove(job);
    }
}

/// Returns the next uplinks of a walk with their devices, and the last identifier if there may be more. `ahead`
/// caches identifiers between calls.
async fn next(
    scope: &Scope,
    walk: &Walk,
    ahead: &mut Ahead,
) -> Result<(Vec<Stored>, Option<Uuid>)> {
    use uplink::Column;
    let in_order = || {
        scope
            .find::<uplink::Entity>()
            .order_by_asc(uplink::Column::Id)
    };
    let (found, last) = match &walk.device_id {
        Some(device) => {
            let ids = ahead.take(scope, walk, device).await?;
            let last = ids.last().copied().filter(|_| ids.len() == CHUNK);
            let found = in_order().filter(Column::Id.is_in(padded(ids)));
            (found.all(scope.reader()).await?, last)
        }
        None => {
            let found = in_order().filter(walk.left()).limit(CHUNK as u64);
            let found = found.all(scope.reader()).await?;
            let last = found.last().map(|uplink| uplink.id);
            let last = last.filter(|_| found.len() == CHUNK);
            (found, last)
        }
    };
    let mut keys: Vec<i64> = found.iter().map(|uplink| uplink.device_key).collect();
    keys.sort_unstable();
    keys.dedup();
    let devices = scope
        .find::<device::Entity>()
        .filter(device::Column::Id.is_in(keys))
        .find_also_related(device_state::Entity)
        .all(scope.reader())
        .await?;
    let devices: Vec<Device> = devices
        .into_iter()
        .map(Device::try_from)
        .collect::<Result<_>>()?;
    let mut stored = Vec::with_capacity(found.len());
    for uplink in found {
        let key = uplink.device_key;
        if let Some(device) = devices.iter().find(|device| device.key.0 == key) {
            stored.push((Uplink::from(uplink), device.clone()));
        }
    }
    Ok((stored, last))
}
