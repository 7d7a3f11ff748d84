//! States of stateful drivers: one per device, written by the driver that last ran.
//!
//! A state is read before a driver runs and written with the uplink that it decoded. If another hub has written one
//! in between, the revision differs, and the uplink is decoded again.

use std::collections::HashMap;

use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    id::{DeviceKey, TenantId},
    store::{
        core::{
            audit::subject,
            bulk::{self, Replace},
            gather::padded,
            json::members,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        devices::record::RESOURCE,
        entities::{device_state, driver_state},
    },
};

/// Driver state as last read.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// State that the driver last returned; empty if it has returned none.
    pub state: Map<String, Value>,
    /// Revision, which grows with every write; 0 if there was none.
    pub revision: i64,
}

/// State that a driver returned, to be written with the uplink.
#[derive(Debug, Clone)]
pub struct NewState {
    /// Author and name of the driver.
    pub driver: String,
    /// State that the driver had read.
    pub seen: Seen,
    /// New state.
    pub state: Map<String, Value>,
}

/// Returns the device's state of the driver with this author and name. A state of another driver is not visible to
/// it, so it starts empty.
pub async fn find(scope: &Scope, device: DeviceKey, driver: &str) -> Result<Seen> {
    let found = scope
        .find::<driver_state::Entity>()
        .filter(driver_state::Column::DeviceKey.eq(device.0))
        .one(scope.reader())
        .await?;
    Ok(match found {
        None => Seen::default(),
        Some(found) => Seen {
            revision: found.revision,
            state: match found.driver == driver {
                true => members(found.state),
                false => Map::new(),
            },
        },
    })
}

/// Stored driver state of a device.
#[derive(Debug, Clone, Serialize)]
pub struct Kept {
    /// Author and name of the driver that wrote it.
    pub driver: String,
    /// State that the driver last returned.
    pub state: Map<String, Value>,
}

/// Returns the stored driver state of a device; `None` if no driver has stored any.
pub async fn get(scope: &Scope, device: DeviceKey) -> Result<Option<Kept>> {
    let found = scope
        .find::<driver_state::Entity>()
        .filter(driver_state::Column::DeviceKey.eq(device.0))
        .one(scope.reader())
        .await?;
    Ok(found.map(|found| Kept {
        driver: found.driver,
        state: members(found.state),
    }))
}

/// Empties the driver state of a device, so that the driver starts without a state at the next uplink. Also removes
/// fields from the reported state that only the driver state provided. Returns the previous state.
pub async fn reset(scope: &Scope, device: DeviceKey, device_id: &str) -> Result<Option<Kept>> {
    scope
        .write(async |transaction| {
            let reported = scope
                .find::<device_state::Entity>()
                .filter(device_state::Column::DeviceKey.eq(device.0))
                .lock_exclusive()
                .one(&*transaction)
                .await?
                .ok_or_else(|| Error::missing("device", device_id))?
                .reported;
            let found = scope
                .find::<driver_state::Entity>()
                .filter(driver_state::Column::DeviceKey.eq(device.0))
                .one(&*transaction)
                .await?;
            let Some(driver_state::Model {
                driver,
                revision,
                state,
                ..
            }) = found
            else {
                return Ok(None);
            };
            let seen = Seen {
                state: members(state),
                revision,
            };
            let before = Kept {
                driver: driver.clone(),
                state: seen.state.clone(),
            };
            let mut reported = members(reported);
            reported.retain(|name, _| !seen.state.contains_key(name));
            // The row is kept and its revision grows, so that a decode with the old state is detected.
            let new = NewState {
                driver,
                seen,
                state: Map::new(),
            };
            let after = Kept {
                driver: new.driver.clone(),
                state: Map::new(),
            };
            let tenant = scope.tenant;
            put(
                &transaction,
                vec![StateOf {
                    tenant,
                    device,
                    new,
                }],
            )
            .await?;
            scope
                .update::<device_state::Entity>()
                .set(device_state::ActiveModel {
                    reported: Set(Value::Object(reported)),
                    ..Default::default()
                })
                .filter(device_state::Column::DeviceKey.eq(device.0))
                .exec(&*transaction)
                .await?;
            let about = subject(RESOURCE, device_id);
            scope
                .note_changed(&transaction, about, &before, &after)
                .await?;
            Ok(Some(before))
        })
        .await
}

/// Returns the revisions of these devices' driver states. The caller's transaction has locked the devices.
pub(in crate::store) async fn revisions(
    transaction: &DatabaseTransaction,
    devices: Vec<i64>,
) -> Result<HashMap<i64, i64>, DbErr> {
    if devices.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(i64, i64)> = driver_state::Entity::find()
        .filter(driver_state::Column::DeviceKey.is_in(padded(devices)))
        .select_only()
        .column(driver_state::Column::DeviceKey)
        .column(driver_state::Column::Revision)
        .into_tuple()
        .all(transaction)
        .await?;
    Ok(found.into_iter().collect())
}

/// New driver state of a device.
pub(in crate::store) struct StateOf {
    /// Tenant of the device.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceKey,
    /// The state.
    pub new: NewState,
}

/// Writes states; the caller has checked that they were read at the current revisions.
pub(in crate::store) async fn put(
    transaction: &DatabaseTransaction,
    states: Vec<StateOf>,
) -> Result<(), DbErr> {
    let rows = states.into_iter().map(
        |StateOf {
             tenant,
             device,
             new,
         }| driver_state::ActiveModel {
            tenant_id: Set(tenant.0),
            device_key: Set(device.0),
            driver: Set(new.driver),
            revision: Set(new.seen.revision + 1),
            state: Set(Value::Object(new.state)),
        },
    );
    let replace = Replace {
        key: driver_state::Column::DeviceKey,
        columns: vec![
            driver_state::Column::Driver,
            driver_state::Column::Revision,
            driver_state::Column::State,
        ],
    };
    bulk::insert(transaction, rows.collect(), Some(replace)).await
}
