//! Redecoding of stored uplinks: their decoded data is replaced, section by section.
//!
//! A section is one transaction: the uplinks, their rows in data tables, the record of the progress, and, if the
//! section reaches the device's newest uplink, the device's reported state.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::ExprTrait,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::{Error, Reason, Result},
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

/// Number of uplinks whose rows one statement deletes. Each uplink may have a thousand times, and SQLite allows
/// 32,766 values per statement.
const ROWS_OF: usize = 20;

/// Progress of redecoding a device's uplinks, which the next section continues from.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Driver that decodes.
    pub driver: String,
    /// True if the work began with the first stored uplink.
    pub is_whole: bool,
    /// Driver state after the last uplink; `None` if the driver returned none.
    pub state: Option<Map<String, Value>>,
    /// Fields that the uplinks so far reported before.
    pub gone: BTreeSet<String>,
    /// Fields that they report now.
    pub reported: Map<String, Value>,
}

/// Decoded section of uplinks.
pub struct Redecoded {
    /// Key of the device.
    pub device: DeviceKey,
    /// Identifier of the device.
    pub device_id: String,
    /// Data tables that store the device's data.
    pub tables: Vec<DataTableId>,
    /// Uplinks, oldest first; at least one.
    pub uplinks: Vec<Rewritten>,
    /// Place where the previous section ended; `None` for the first section.
    pub after: Option<Place<Uuid>>,
    /// Progress after the section.
    pub progress: Progress,
    /// True if requested uplinks were left when the section was read.
    pub goes_on: bool,
    /// Time before which uplinks are redecoded; `None` for no limit.
    pub to: Option<Time>,
    /// Author and name of the driver whose stored state is updated; `None` to leave the state unchanged.
    pub keeps_state_of: Option<String>,
    /// Event to record for the device.
    pub event: NewEvent,
}

/// Uplink with its new decoded data.
pub struct Rewritten {
    /// Uplink as stored.
    pub before: Uplink,
    /// Decoded fields.
    pub data: Option<Map<String, Value>>,
    /// Values per time, if the driver returned several.
    pub updates: Option<Value>,
    /// Reason why there is no data.
    pub failure: Option<Value>,
    /// Times of rows that the uplink may have in data tables.
    pub former_times: Vec<Time>,
    /// New rows in data tables.
    pub rows: Vec<NewRow>,
}

/// Returns the progress of the section that ended at `after`. Fails if that is not the last one written.
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
    Error::of_field(
        Reason::WrongState,
        "cursor",
        "the stretch before is not the last that was written with this version of the driver; begin \
         again without cursor",
    )
}

/// Writes a section; returns true if requested uplinks are left by now.
pub async fn write(scope: &Scope, redecoded: Redecoded) -> Result<bool> {
    scope
        .record(async |transaction| redecoded.write(scope, &transaction).await)
        .await
}

impl Redecoded {
    async fn write(self, scope: &Scope, transaction: &DatabaseTransaction) -> Result<bool> {
        // Locked first: new uplinks of the device and other work on its old ones must wait.
        let state = scope
            .find::<device_state::Entity>()
            .filter(device_state::Column::DeviceKey.eq(self.device.0))
            .lock_exclusive()
            .one(transaction)
            .await?
            .ok_or_else(|| Error::missing("device", &self.device_id))?;
        if let Some(after) = &self.after {
            // Another request may have continued from there meanwhile.
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

    /// Replaces the uplinks' rows in the data tables.
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
            // Rows from older versions have no uplink id.
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

    /// Updates the device's reported state to the redecoded data.
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
            // The driver state takes precedence over the data of uplinks.
            None => reported.extend(kept.map(|kept| members(kept.state)).unwrap_or_default()),
        }
        let is_failing = self.fails_at_last(scope, transaction).await?;
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

    /// Returns true if the driver failed on the device's last uplink with data, which may be in an earlier section.
    async fn fails_at_last(
        &self,
        scope: &Scope,
        transaction: &DatabaseTransaction,
    ) -> Result<bool> {
        use uplink::Column;
        let carries_data = Condition::all()
            .add(Column::FPort.is_null().or(Column::FPort.ne(0)))
            .add(Column::Raw.is_null().or(Column::Raw.ne(Vec::<u8>::new())));
        let last = scope
            .find::<uplink::Entity>()
            .filter(Column::DeviceKey.eq(self.device.0))
            .filter(carries_data)
            .select_only()
            .expr(Column::Failure.is_not_null())
            .order_by_desc(Column::Ts)
            .order_by_desc(Column::Id)
            .into_tuple::<bool>()
            .one(transaction)
            .await?;
        Ok(last.unwrap_or(false))
    }

    /// Stores the progress for the next section, or deletes it if none is left.
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
