//! What stateful drivers keep of devices: one state a device, of the driver that last wrote it.
//!
//! A state is read before a driver runs and written with the uplink that it decoded. In between
//! another hub may have written one: the revision tells, and the uplink is decoded again.

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

/// What a driver is told of a device's state.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What it returned last; empty where it has returned nothing yet.
    pub state: Map<String, Value>,
    /// Grows with every write; 0 where there has been none.
    pub revision: i64,
}

/// What a driver returned, to be written with its uplink.
#[derive(Debug, Clone)]
pub struct NewState {
    /// Author and name of the driver.
    pub driver: String,
    /// What it had seen.
    pub seen: Seen,
    /// What it is now.
    pub state: Map<String, Value>,
}

/// What the driver of this author and name last kept of the device. The state of another driver is
/// none of its business.
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

/// What drivers keep of a device.
#[derive(Debug, Clone, Serialize)]
pub struct Kept {
    /// Author and name of the driver that wrote it.
    pub driver: String,
    /// What it returned last.
    pub state: Map<String, Value>,
}

/// What is kept of the device; `None`: no driver has kept anything yet.
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

/// Empties what is kept of the device: its driver begins anew with the next uplink. What the state
/// alone reported is no longer reported. Answers what was kept.
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
            // The row stays, and its revision grows: whoever decodes with the old state must notice.
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

/// The revisions of these devices' states, read in the transaction that holds the devices.
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

/// A device's new state of its driver.
pub(in crate::store) struct StateOf {
    /// Whose device it is.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceKey,
    /// The state.
    pub new: NewState,
}

/// Writes states that were seen at the current revisions.
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
