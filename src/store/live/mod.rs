//! Live feed of new records, in the order of their ids.
//!
//! Ids are generated in the transaction that writes them and sort by that time, but hubs that share a database
//! commit concurrently, and transactions differ in duration. Therefore an id below one already seen can still appear
//! while an older transaction is open: [`Store::complete_until`] returns the time up to which that is impossible.

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

/// Start of the oldest open transaction of any hub that has written something.
const OLDEST_OPEN: &str = "SELECT min(xact_start) FROM pg_stat_activity \
    WHERE datname = current_database() AND backend_xid IS NOT NULL \
    AND application_name = current_setting('application_name')";

/// Group read of the start of the oldest open transaction in a shared database.
pub(super) type OldestOpen = Gather<(), Time>;

/// Records that a subscriber receives.
#[derive(Debug, Clone, Default)]
pub struct Interest {
    /// Selector of the devices; `None` for all.
    pub selector: Option<Selector>,
    /// Identifier of the only device; `None` for all.
    pub device: Option<String>,
    /// Kinds of records: `uplink`, or kinds of events; `None` for all.
    pub kinds: Option<HashSet<String>>,
}

/// Kind of uplinks.
pub const UPLINK: &str = "uplink";

/// Uplink or event in the live feed.
#[derive(Debug, Clone)]
pub struct LiveRecord {
    /// Identifier of the device that it is about, if any.
    pub device_id: Option<String>,
    /// The uplink or the event.
    pub what: LiveContent,
}

/// Content of a record in the live feed.
#[derive(Debug, Clone)]
pub enum LiveContent {
    /// Uplink of the device.
    Uplink(Box<Uplink>),
    /// Event of a device or a connection.
    Event(Event),
}

impl LiveRecord {
    /// Returns the identifier.
    pub fn id(&self) -> Uuid {
        match &self.what {
            LiveContent::Uplink(uplink) => uplink.id,
            LiveContent::Event(event) => event.id,
        }
    }

    /// Returns the kind.
    pub fn kind(&self) -> &str {
        match &self.what {
            LiveContent::Uplink(_) => UPLINK,
            LiveContent::Event(event) => &event.kind,
        }
    }
}

/// Table that an identifier was found in.
#[derive(Clone, Copy)]
enum Table {
    Uplinks,
    Events,
}

/// Ordered identifiers of records to read.
pub struct Ids {
    found: Vec<(Uuid, Table)>,
    /// Identifier to continue after; `None` if there are no more.
    pub next: Option<Uuid>,
}

impl Ids {
    /// Keeps only the identifiers for which `is_new` returns true.
    pub fn retain(&mut self, mut is_new: impl FnMut(Uuid) -> bool) {
        self.found.retain(|(id, _)| is_new(*id));
    }

    /// True if there are no identifiers.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

impl Store {
    /// Subscribes to records written by this hub.
    pub fn news(&self) -> watch::Receiver<()> {
        self.inner.signals.news.subscribe()
    }

    /// Returns the time before which all records are committed and can be read, judged by their ids.
    pub async fn complete_until(&self) -> Result<Time> {
        // The clock is read first: a transaction that begins afterwards generates no older ids.
        let now = self.now();
        let oldest = match self.is_shared() {
            true => self.kept::<OldestOpen>().get(()).await?,
            false => self.inner.writer.oldest_open(),
        };
        Ok(oldest.map_or(now, |oldest| oldest.min(now)))
    }

    /// True if other hubs write to the same database, which [`Store::news`] does not report.
    pub fn has_other_writers(&self) -> bool {
        self.is_shared()
    }
}

/// Starts a group read of the oldest open transaction of all hubs.
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

/// Returns the first identifiers after `after` that match the interest.
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
    // If either list reached the limit, its next entries may come before those of the other list.
    let next = (found.len() >= limit).then(|| {
        found.truncate(limit);
        found.last().map_or(after, |(id, _)| *id)
    });
    Ok(Ids { found, next })
}

/// Returns the records with these identifiers, in their order. Records deleted in the meantime are omitted.
pub async fn read(scope: &Scope, ids: &Ids) -> Result<Vec<LiveRecord>> {
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
        let found: Vec<WithDevice<uplink::Model>> = with_device(query, device_of_uplink())
            .all(scope.reader())
            .await?;
        happenings.extend(found.into_iter().map(|of| LiveRecord {
            device_id: of.device_id,
            what: LiveContent::Uplink(Box::new(of.row.into())),
        }));
    }
    let events = of(|table| matches!(table, Table::Events));
    if !events.is_empty() {
        let query = scope
            .find::<event::Entity>()
            .filter(event::Column::Id.is_in(events));
        let query = query.filter(is_shown(scope));
        let found: Vec<WithDevice<event::Model>> = with_device(query, device_of_event())
            .all(scope.reader())
            .await?;
        happenings.extend(found.into_iter().map(|of| LiveRecord {
            device_id: of.device_id,
            what: LiveContent::Event(of.row.into()),
        }));
    }
    happenings.sort_unstable_by_key(LiveRecord::id);
    Ok(happenings)
}

/// Row with the id of its device.
#[derive(FromQueryResult)]
struct WithDevice<M: FromQueryResult> {
    #[sea_orm(nested)]
    row: M,
    device_id: Option<String>,
}

fn with_device<E, M>(
    query: Select<E>,
    device: RelationDef,
) -> sea_orm::Selector<sea_orm::SelectModel<WithDevice<M>>>
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

/// Returns the condition that the row's device, if any, is not removed.
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

    /// Restricts rows to the devices of interest; returns all rows if devices are not restricted.
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
