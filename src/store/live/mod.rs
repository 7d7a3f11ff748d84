//! What has just been recorded, in the order of its ids, for those who follow along.
//!
//! Ids are made in the transaction that writes them and sort by that time, but hubs that share a database
//! commit side by side, and one transaction may take longer than another. So an id below one that was seen
//! already can still turn up for as long as a transaction is open that is older than it:
//! [`Store::complete_until`] tells how far back that is.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter,
    QueryOrder, QuerySelect, RelationDef, RelationTrait, Select, Statement,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::entities::{device, event, uplink};
use crate::{
    clock::Time,
    error::Result,
    selector::Selector,
    store::{
        core::{gather::Gather, handle::Store, reader::Reader, rows::Owned, scope::Scope},
        devices::{selecting, uplinks::Uplink},
        live::events::Event,
    },
};

pub mod events;

/// How long ago the oldest transaction of a hub began that has written something and is open, in microseconds.
const OLDEST_OPEN: &str = "SELECT min(xact_start) FROM pg_stat_activity \
    WHERE datname = current_database() AND backend_xid IS NOT NULL \
    AND application_name = current_setting('application_name')";

/// Shared reads of the time at which the oldest transaction began that is open in a database that hubs share.
pub(super) type OldestOpen = Gather<(), Time>;

/// What somebody wants to hear of.
#[derive(Debug, Clone, Default)]
pub struct Interest {
    /// Only of devices that it picks.
    pub selector: Option<Selector>,
    /// Only of this device.
    pub device: Option<String>,
    /// Only these kinds: `uplink`, or an event's; `None`: all.
    pub kinds: Option<HashSet<String>>,
}

/// The kind of what is no event.
pub const UPLINK: &str = "uplink";

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Happening {
    /// The device it is about, where there is one.
    pub device_id: Option<String>,
    /// What it is.
    pub what: What,
}

/// An uplink or an event.
#[derive(Debug, Clone)]
pub enum What {
    /// A message of the device.
    Uplink(Box<Uplink>),
    /// Something else.
    Event(Event),
}

impl Happening {
    /// Its id.
    pub fn id(&self) -> Uuid {
        match &self.what {
            What::Uplink(uplink) => uplink.id,
            What::Event(event) => event.id,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        match &self.what {
            What::Uplink(_) => UPLINK,
            What::Event(event) => &event.kind,
        }
    }
}

/// What was asked for of an id, and where it is.
#[derive(Clone, Copy)]
enum Table {
    Uplinks,
    Events,
}

/// Ids in their order, ready to be read.
pub struct Ids {
    found: Vec<(Uuid, Table)>,
    /// Where to go on; `None` when these are all.
    pub next: Option<Uuid>,
}

impl Ids {
    /// Leaves out those that are known.
    pub fn retain(&mut self, mut is_new: impl FnMut(Uuid) -> bool) {
        self.found.retain(|(id, _)| is_new(*id));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl Store {
    /// Changes whenever this hub has recorded something.
    pub fn news(&self) -> watch::Receiver<()> {
        self.inner.signals.news.subscribe()
    }

    /// What was recorded with an id of before this time is all committed and can be read.
    pub async fn complete_until(&self) -> Result<Time> {
        // The clock first: a transaction that begins meanwhile makes no older ids.
        let now = self.now();
        let oldest = match self.is_shared() {
            true => self.kept::<OldestOpen>().get(()).await?,
            false => self.inner.writer.oldest_open(),
        };
        Ok(oldest.map_or(now, |oldest| oldest.min(now)))
    }

    /// Whether other hubs record into the same database, of which [`Store::news`] does not tell.
    pub fn has_other_writers(&self) -> bool {
        self.is_shared()
    }
}

/// Reads when the oldest open transaction of all hubs began, together for all who ask.
pub(super) fn gather(reader: Reader) -> OldestOpen {
    Gather::start(move |_| oldest_open(reader.clone()))
}

async fn oldest_open(reader: Reader) -> Result<HashMap<(), Time>> {
    let statement = Statement::from_string(reader.get_database_backend(), OLDEST_OPEN);
    let row = reader.query_one_raw(statement).await?;
    let begun = row.map(|row| row.try_get_by_index::<Option<Time>>(0));
    let begun = begun.transpose()?.flatten();
    Ok(begun.map(|begun| ((), begun)).into_iter().collect())
}

/// The first ids above `after` of what somebody wants to hear of.
pub async fn ids(scope: &Scope, interest: &Interest, after: Uuid, limit: u64) -> Result<Ids> {
    let mut found = Vec::new();
    if interest.wants(UPLINK) {
        let query = scope
            .find::<uplink::Entity>()
            .filter(uplink::Column::Id.gt(after));
        let query = interest.narrow(query, device_of_uplink());
        found.extend(
            first(query, uplink::Column::Id, limit)
                .into_tuple::<Uuid>()
                .all(scope.reader())
                .await?
                .into_iter()
                .map(|id| (id, Table::Uplinks)),
        );
    }
    if interest.wants_events() {
        let mut query = scope
            .find::<event::Entity>()
            .filter(event::Column::Id.gt(after));
        if let Some(kinds) = &interest.kinds {
            query = query.filter(event::Column::Kind.is_in(kinds));
        }
        let query = interest.narrow(query, device_of_event());
        found.extend(
            first(query, event::Column::Id, limit)
                .into_tuple::<Uuid>()
                .all(scope.reader())
                .await?
                .into_iter()
                .map(|id| (id, Table::Events)),
        );
    }
    found.sort_unstable_by_key(|(id, _)| *id);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // Beyond the limit of either list there may be more of that list before the next of the other.
    let next = (found.len() >= limit).then(|| {
        found.truncate(limit);
        found.last().map_or(after, |(id, _)| *id)
    });
    Ok(Ids { found, next })
}

/// What these ids stand for, in their order. What was deleted in between is left out.
pub async fn read(scope: &Scope, ids: &Ids) -> Result<Vec<Happening>> {
    let of = |wanted: fn(&Table) -> bool| {
        let of_table = ids.found.iter().filter(move |(_, table)| wanted(table));
        of_table.map(|(id, _)| *id).collect::<Vec<_>>()
    };
    let mut happenings = Vec::with_capacity(ids.found.len());
    let uplinks = of(|table| matches!(table, Table::Uplinks));
    if !uplinks.is_empty() {
        let query = scope
            .find::<uplink::Entity>()
            .filter(uplink::Column::Id.is_in(uplinks));
        let query = query.filter(is_shown(scope));
        let found: Vec<Of<uplink::Model>> = with_device(query, device_of_uplink())
            .all(scope.reader())
            .await?;
        happenings.extend(found.into_iter().map(|of| Happening {
            device_id: of.device_id,
            what: What::Uplink(Box::new(of.row.into())),
        }));
    }
    let events = of(|table| matches!(table, Table::Events));
    if !events.is_empty() {
        let query = scope
            .find::<event::Entity>()
            .filter(event::Column::Id.is_in(events));
        let query = query.filter(is_shown(scope));
        let found: Vec<Of<event::Model>> = with_device(query, device_of_event())
            .all(scope.reader())
            .await?;
        happenings.extend(found.into_iter().map(|of| Happening {
            device_id: of.device_id,
            what: What::Event(of.row.into()),
        }));
    }
    happenings.sort_unstable_by_key(Happening::id);
    Ok(happenings)
}

/// A row and the id of the device it is about.
#[derive(FromQueryResult)]
struct Of<M: FromQueryResult> {
    #[sea_orm(nested)]
    row: M,
    device_id: Option<String>,
}

fn with_device<E, M>(
    query: Select<E>,
    device: RelationDef,
) -> sea_orm::Selector<sea_orm::SelectModel<Of<M>>>
where
    E: EntityTrait,
    M: FromQueryResult,
{
    query
        .join(JoinType::LeftJoin, device)
        .column_as(device::Column::DeviceId, "device_id")
        .into_model()
}

fn first<E: Owned>(query: Select<E>, id: E::Column, limit: u64) -> Select<E> {
    query.select_only().column(id).order_by_asc(id).limit(limit)
}

/// Not of a device that was deleted, whose rows are still to be cleared away.
fn is_shown(scope: &Scope) -> Condition {
    Condition::any()
        .add(device::Column::Id.is_null())
        .add(device::Column::TenantId.eq(scope.tenant.0))
}

fn device_of_uplink() -> RelationDef {
    uplink::Relation::Device.def()
}

fn device_of_event() -> RelationDef {
    event::Relation::Device.def()
}

impl Interest {
    fn wants(&self, kind: &str) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind))
    }

    fn wants_events(&self) -> bool {
        self.kinds
            .as_ref()
            .is_none_or(|kinds| kinds.iter().any(|kind| kind != UPLINK))
    }

    /// Rows of the devices that are of interest; without a wish for some of them, all rows.
    fn narrow<E: EntityTrait>(&self, query: Select<E>, device: RelationDef) -> Select<E> {
        if self.selector.is_none() && self.device.is_none() {
            return query;
        }
        let mut which = Condition::all();
        if let Some(selector) = &self.selector {
            which = which.add(selecting::picked(selector));
        }
        if let Some(id) = &self.device {
            which = which.add(device::Column::DeviceId.eq(id));
        }
        query.join(JoinType::InnerJoin, device).filter(which)
    }
}
