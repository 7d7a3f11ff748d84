//! Uplinks that are decoded again: what is stored of them is replaced, stretch by stretch.
//!
//! A stretch is one transaction: the uplinks, their rows in data tables, the mark of how far the
//! work has come, and, where the stretch reaches the device's newest uplink, what the device reports.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
    sea_query::ExprTrait,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::{Error, Result},
    id::{DataTableId, DeviceKey},
    store::{
        core::{
            audit::{Change, subject},
            bulk, failure,
            json::{from_column, members},
            listing::Place,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        data::NewRow,
        devices::{
            driver_states::{self, NewState, Seen, StateOf},
            neighbours::newer,
            record::RESOURCE,
            uplinks::Uplink,
        },
        entities::{data_table_row, device_state, driver_state, event, redecoding, uplink},
        live::events::NewEvent,
    },
};

pub use super::neighbours::has_older;

/// Uplinks whose rows one statement deletes: each may have a thousand times, and a statement of SQLite
/// 32,766 values.
const ROWS_OF: usize = 20;

/// How far a device's uplinks have been decoded again, and what the next stretch must know.
#[derive(Debug, Clone)]
pub struct Progress {
    /// What decodes.
    pub driver: String,
    /// Whether it began with the first uplink that is stored.
    pub is_whole: bool,
    /// What the driver keeps after the last uplink; `None`: it has returned no state.
    pub state: Option<Map<String, Value>>,
    /// The fields that the uplinks so far had reported.
    pub gone: BTreeSet<String>,
    /// What they report now.
    pub reported: Map<String, Value>,
}

/// One stretch, decoded.
pub struct Redecoded {
    /// The device.
    pub device: DeviceKey,
    /// Its id.
    pub device_id: String,
    /// The data tables that keep its data.
    pub tables: Vec<DataTableId>,
    /// The uplinks, the oldest first; one at least.
    pub uplinks: Vec<Rewritten>,
    /// Where the stretch before this one ended; `None`: it is the first.
    pub after: Option<Place<Uuid>>,
    /// After the stretch.
    pub progress: Progress,
    /// Whether it was known when this was read that uplinks are left of what was asked for.
    pub goes_on: bool,
    /// Before which time the uplinks are that were asked for.
    pub to: Option<Time>,
    /// Author and name of the driver, where the device's own state of it is to follow.
    pub keeps_state_of: Option<String>,
    /// What to tell of the device.
    pub event: NewEvent,
}

/// An uplink with what is made of it now.
pub struct Rewritten {
    /// As it is stored.
    pub before: Uplink,
    /// The fields.
    pub data: Option<Map<String, Value>>,
    /// The values of each time, where the driver told of several.
    pub updates: Option<Value>,
    /// Why there is nothing.
    pub failure: Option<Value>,
    /// The times of the rows that it may have in data tables.
    pub former_times: Vec<Time>,
    /// Its rows in data tables.
    pub rows: Vec<NewRow>,
}

/// What the stretch before the one behind this place has left; it must be the last one written.
pub async fn find(
    scope: &Scope,
    device: DeviceKey,
    driver: &str,
    after: &Place<Uuid>,
) -> Result<Progress> {
    let mark = find_mark(scope, scope.reader(), device).await?;
    mark.filter(|mark| is_at(mark, driver, after))
        .ok_or_else(not_the_last)?
        .try_into()
}

async fn find_mark(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    device: DeviceKey,
) -> Result<Option<redecoding::Model>> {
    let mark = scope
        .find::<redecoding::Entity>()
        .filter(redecoding::Column::DeviceKey.eq(device.0))
        .one(connection)
        .await?;
    Ok(mark)
}

fn is_at(mark: &redecoding::Model, driver: &str, place: &Place<Uuid>) -> bool {
    mark.driver == driver && Place::of_time(mark.ts, mark.uplink_id) == *place
}

fn not_the_last() -> Error {
    Error::Conflict(
        "cursor: the stretch before is not the last that was written with this version of the \
         driver; begin again without cursor"
            .to_owned(),
    )
}

/// Writes a stretch; answers whether there is another of what was asked for, by now.
pub async fn write(scope: &Scope, redecoded: Redecoded) -> Result<bool> {
    scope
        .record(async |transaction| redecoded.write(scope, &transaction).await)
        .await
}

impl Redecoded {
    async fn write(self, scope: &Scope, transaction: &DatabaseTransaction) -> Result<bool> {
        // Locked first: the device's new uplinks and other work on its old ones wait.
        let state = scope
            .find::<device_state::Entity>()
            .filter(device_state::Column::DeviceKey.eq(self.device.0))
            .lock_exclusive()
            .one(transaction)
            .await?
            .ok_or_else(|| Error::missing("device", &self.device_id))?;
        if let Some(after) = &self.after {
            // Somebody else may have gone on from there meanwhile.
            let mark = find_mark(scope, transaction, self.device).await?;
            mark.filter(|mark| is_at(mark, &self.progress.driver, after))
                .ok_or_else(not_the_last)?;
        }
        for uplink in &self.uplinks {
            uplink.replace(scope, transaction).await?;
        }
        self.replace_rows(scope, transaction).await?;
        let next = self.first_behind(scope, transaction).await?;
        if next.is_none() {
            self.report(scope, transaction, state).await?;
        }
        let to = self.to;
        let goes_on = self.goes_on || next.is_some_and(|next| to.is_none_or(|to| next < to));
        self.mark(scope, transaction, goes_on).await?;
        self.tell(scope, transaction).await?;
        Ok(goes_on)
    }

    /// Puts the uplinks' rows into the place of those that the tables have of them.
    async fn replace_rows(&self, scope: &Scope, transaction: &DatabaseTransaction) -> Result<()> {
        use data_table_row::Column;
        if self.tables.is_empty() {
            return Ok(());
        }
        let tables: Vec<i64> = self.tables.iter().map(|table| table.0).collect();
        for uplinks in self.uplinks.chunks(ROWS_OF) {
            let times = || {
                uplinks
                    .iter()
                    .flat_map(|uplink| &uplink.former_times)
                    .copied()
            };
            let (Some(first), Some(last)) = (times().min(), times().max()) else {
                continue;
            };
            let of_uplink = Column::UplinkId.is_in(uplinks.iter().map(|uplink| uplink.before.id));
            // Older rows do not name their uplink.
            let unnamed = Column::UplinkId.is_null().and(Column::Ts.is_in(times()));
            scope
                .delete::<data_table_row::Entity>()
                .filter(Column::DataTableId.is_in(tables.clone()))
                .filter(Column::DeviceId.eq(&self.device_id))
                .filter(Column::Ts.between(first, last))
                .filter(of_uplink.or(unnamed))
                .exec(transaction)
                .await?;
        }
        let ids = scope.store.ids();
        let rows = self.uplinks.iter().flat_map(|uplink| {
            let rows = uplink.rows.iter();
            rows.map(|row| data_table_row::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                id: Set(ids.next()),
                data_table_id: Set(row.table.0),
                device_id: Set(self.device_id.clone()),
                ts: Set(row.time),
                data: Set(row.data.clone()),
                uplink_id: Set(Some(uplink.before.id)),
            })
        });
        bulk::insert(transaction, rows.collect(), None)
            .await
            .map_err(|error| match failure::is_dangling(&error) {
                true => Error::overloaded("a data table is being deleted; try again"),
                false => error.into(),
            })
    }

    async fn first_behind(
        &self,
        scope: &Scope,
        transaction: &DatabaseTransaction,
    ) -> Result<Option<Time>> {
        let Some(last) = self.uplinks.last().map(|uplink| &uplink.before) else {
            return Ok(None);
        };
        let found = newer(scope.tenant, self.device, last)
            .select_only()
            .column(uplink::Column::Ts)
            .into_tuple::<Time>()
            .one(transaction)
            .await?;
        Ok(found)
    }

    /// Makes the device report what its uplinks do now.
    async fn report(
        &self,
        scope: &Scope,
        transaction: &DatabaseTransaction,
        state: device_state::Model,
    ) -> Result<()> {
        let mut reported = members(state.reported);
        let Progress {
            gone,
            reported: now,
            ..
        } = &self.progress;
        reported.retain(|name, _| !gone.contains(name) || now.contains_key(name));
        reported.extend(now.clone());
        let kept = scope
            .find::<driver_state::Entity>()
            .filter(driver_state::Column::DeviceKey.eq(self.device.0))
            .one(transaction)
            .await?;
        let follows = self.keeps_state_of.clone().zip(self.progress.state.clone());
        match follows.filter(|_| self.progress.is_whole) {
            Some((driver, state)) => {
                let seen = Seen {
                    revision: kept.as_ref().map_or(0, |kept| kept.revision),
                    state: kept.map(|kept| members(kept.state)).unwrap_or_default(),
                };
                let is_now = |name: &String| now.contains_key(name) || state.contains_key(name);
                reported.retain(|name, _| !seen.state.contains_key(name) || is_now(name));
                reported.extend(state.clone());
                let new = NewState {
                    driver,
                    seen,
                    state,
                };
                let (tenant, device) = (scope.tenant, self.device);
                driver_states::put(
                    transaction,
                    vec![StateOf {
                        tenant,
                        device,
                        new,
                    }],
                )
                .await?;
            }
            // What its driver keeps of the device goes over what uplinks tell.
            None => reported.extend(kept.map(|kept| members(kept.state)).unwrap_or_default()),
        }
        let is_failing = self
            .uplinks
            .last()
            .is_some_and(|last| last.failure.is_some());
        scope
            .update::<device_state::Entity>()
            .set(device_state::ActiveModel {
                reported: Set(Value::Object(reported)),
                is_failing: Set(is_failing),
                ..Default::default()
            })
            .filter(device_state::Column::DeviceKey.eq(self.device.0))
            .exec(transaction)
            .await?;
        Ok(())
    }

    /// Leaves for the next stretch what it must know.
    async fn mark(
        &self,
        scope: &Scope,
        transaction: &DatabaseTransaction,
        goes_on: bool,
    ) -> Result<()> {
        use redecoding::Column;
        scope
            .delete::<redecoding::Entity>()
            .filter(Column::DeviceKey.eq(self.device.0))
            .exec(transaction)
            .await?;
        let Some(last) = self.uplinks.last().filter(|_| goes_on) else {
            return Ok(());
        };
        let progress = &self.progress;
        let mark = redecoding::ActiveModel {
            tenant_id: Set(scope.tenant.0),
            device_key: Set(self.device.0),
            driver: Set(progress.driver.clone()),
            ts: Set(last.before.time),
            uplink_id: Set(last.before.id),
            is_whole: Set(progress.is_whole),
            state: Set(progress.state.clone().map(Value::Object)),
            gone: Set(progress.gone.iter().cloned().collect()),
            reported: Set(Value::Object(progress.reported.clone())),
        };
        redecoding::Entity::insert(mark)
            .exec_without_returning(transaction)
            .await?;
        Ok(())
    }

    async fn tell(&self, scope: &Scope, transaction: &DatabaseTransaction) -> Result<()> {
        let details = Value::Object(self.event.details.clone());
        let event = event::ActiveModel {
            tenant_id: Set(scope.tenant.0),
            id: Set(scope.new_id()),
            kind: Set(self.event.kind.to_owned()),
            device_key: Set(Some(self.device.0)),
            connection_id: Set(None),
            at: Set(scope.now()),
            message: Set(self.event.message.clone()),
            details: Set(details.clone()),
        };
        event::Entity::insert(event)
            .exec_without_returning(transaction)
            .await?;
        let change = Change {
            subject: subject(RESOURCE, &self.device_id),
            before: None,
            after: Some(details),
        };
        scope.note_many(transaction, vec![change]).await
    }
}

impl Rewritten {
    async fn replace(&self, scope: &Scope, transaction: &DatabaseTransaction) -> Result<()> {
        let Uplink {
            data,
            updates,
            failure,
            ..
        } = &self.before;
        if (data, updates, failure) == (&self.data, &self.updates, &self.failure) {
            return Ok(());
        }
        scope
            .update::<uplink::Entity>()
            .set(uplink::ActiveModel {
                data: Set(self.data.clone().map(Value::Object)),
                updates: Set(self.updates.clone()),
                failure: Set(self.failure.clone()),
                ..Default::default()
            })
            .filter(uplink::Column::Id.eq(self.before.id))
            .exec(transaction)
            .await?;
        Ok(())
    }
}

impl TryFrom<redecoding::Model> for Progress {
    type Error = Error;

    fn try_from(mark: redecoding::Model) -> Result<Self> {
        Ok(Self {
            driver: mark.driver,
            is_whole: mark.is_whole,
            state: mark.state.map(members),
            gone: from_column(redecoding::Column::Gone, mark.gone)?,
            reported: members(mark.reported),
        })
    }
}
