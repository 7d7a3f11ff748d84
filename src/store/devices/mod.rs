//! Devices: their configuration, and their last state.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter,
    QuerySelect, sea_query::LockType,
};

use crate::{
    error::Result,
    id::{ConnectionId, DeviceKey, TenantId},
    store::{
        core::{
            audit::subject,
            gather::{Gather, padded},
            reader::Reader,
            rows::find_of,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        devices::{
            record::RESOURCE,
            rows::{
                bury, columns, first_state, hold_states, insert_labels, insert_parts, lock,
                missing, taken,
            },
        },
        drivers::usage,
        entities::{device, device_connection, device_label, device_state},
    },
};

pub mod batch;
pub mod bulk;
pub mod desired_state;
pub mod driver_states;
pub mod frames;
pub(in crate::store) mod health;
pub(in crate::store) mod import;
pub mod imports;
mod labels;
pub mod list;
pub(in crate::store) mod neighbours;
pub(super) mod receptions;
pub(in crate::store) mod record;
pub mod redecodings;
pub(in crate::store) mod rows;
pub(in crate::store) mod selecting;
pub mod uplinks;
pub mod walk;

pub use labels::labels_of;
pub use record::{Address, Device, NewDevice, State};

/// Group read of devices.
pub(super) type Devices = Gather<(TenantId, String), Device>;

/// Adds a device.
pub async fn insert(scope: &Scope, new: NewDevice) -> Result<Device> {
    let now = scope.now();
    scope
        .write(async |transaction| {
            usage::hold_one(scope, &transaction, new.driver.as_deref()).await?;
            let model = device::ActiveModel {
                created_at: Set(now),
                ..columns(scope, &new, now)
            }
            .insert(&*transaction)
            .await
            .map_err(|error| taken(error, &new))?;
            let key = DeviceKey(model.id);
            let revision = rows::begin_revisions(scope, &transaction, vec![key.0]).await?;
            insert_parts(scope, &transaction, key, &new).await?;
            device_state::Entity::insert(first_state(scope, key))
                .exec_without_returning(&*transaction)
                .await?;
            scope
                .note_created(&transaction, subject(RESOURCE, &new.id), &new)
                .await?;
            Ok(Device {
                key,
                provisioned: new,
                state: State::default(),
                revision,
                created_at: now,
                updated_at: now,
            })
        })
        .await
}

/// Returns a device.
pub async fn get(scope: &Scope, id: &str) -> Result<Device> {
    let key = (scope.tenant, id.to_owned());
    let found = scope.store.kept::<Devices>().get(key).await?;
    found.ok_or_else(|| missing(id))
}

/// Starts a group read of devices, which serves concurrent requests with one query.
pub(super) fn gather(reader: Reader) -> Devices {
    Gather::start(move |keys| load(reader.clone(), keys))
}

async fn load(
    reader: Reader,
    keys: Vec<(TenantId, String)>,
) -> Result<HashMap<(TenantId, String), Device>> {
    let mut tenants: HashMap<TenantId, Vec<String>> = HashMap::new();
    for (tenant, id) in keys {
        tenants.entry(tenant).or_default().push(id);
    }
    let mut devices = HashMap::new();
    for (tenant, ids) in tenants {
        let found = find_of::<device::Entity>(tenant)
            .filter(device::Column::DeviceId.is_in(padded(ids)))
            .find_also_related(device_state::Entity)
            .all(&reader)
            .await?;
        for device in found {
            let device = Device::try_from(device)?;
            devices.insert((tenant, device.provisioned.id.clone()), device);
        }
    }
    Ok(devices)
}

/// Returns the device with this address, if any.
pub async fn find_by_address(
    scope: &Scope,
    connection: ConnectionId,
    network_device_id: &str,
) -> Result<Option<Device>> {
    let key = scope
        .find::<device_connection::Entity>()
        .filter(device_connection::Column::ConnectionId.eq(connection.0))
        .filter(device_connection::Column::NetworkDeviceId.eq(network_device_id))
        .select_only()
        .column(device_connection::Column::DeviceKey)
        .into_tuple::<i64>()
        .one(scope.reader())
        .await?;
    let Some(key) = key else { return Ok(None) };
    let found = scope
        .find::<device::Entity>()
        .filter(device::Column::Id.eq(key))
        .find_also_related(device_state::Entity)
        .one(scope.reader())
        .await?;
    found.map(Device::try_from).transpose()
}

/// Replaces a device's configuration; the id stays.
pub async fn update(scope: &Scope, new: NewDevice) -> Result<Device> {
    scope
        .write(async |transaction| {
            usage::hold_one(scope, &transaction, new.driver.as_deref()).await?;
            let before = lock(scope, &transaction, &new.id).await?;
            replace(scope, &transaction, before, &new).await?;
            let after = scope
                .find::<device::Entity>()
                .filter(device::Column::DeviceId.eq(&new.id))
                .find_also_related(device_state::Entity)
                .one(&*transaction)
                .await?;
            after.ok_or_else(|| missing(&new.id))?.try_into()
        })
        .await
}

/// Replaces the configuration of a locked row.
pub(super) async fn replace(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    before: device::Model,
    new: &NewDevice,
) -> Result<()> {
    let key = before.id;
    let mut changed = columns(scope, new, scope.now());
    changed.revision = Set(before.revision + 1);
    scope
        .update::<device::Entity>()
        .set(changed)
        .filter(device::Column::Id.eq(key))
        .exec(transaction)
        .await
        .map_err(|error| taken(error, new))?;
    scope
        .delete::<device_label::Entity>()
        .filter(device_label::Column::DeviceKey.eq(key))
        .exec(transaction)
        .await?;
    scope
        .delete::<device_connection::Entity>()
        .filter(device_connection::Column::DeviceKey.eq(key))
        .exec(transaction)
        .await?;
    insert_parts(scope, transaction, DeviceKey(key), new).await?;
    let before = Device::try_from((before, None))?.provisioned;
    scope
        .note_changed(transaction, subject(RESOURCE, &new.id), &before, new)
        .await
}

/// Changes only a device's labels and returns the new ones.
pub async fn change_labels(
    scope: &Scope,
    id: &str,
    change: impl FnOnce(&mut Vec<String>) -> Result<()>,
) -> Result<Vec<String>> {
    scope
        .write(async |transaction| {
            let model = lock(scope, &transaction, id).await?;
            let (key, revision) = (model.id, model.revision);
            let before = Device::try_from((model, None))?.provisioned;
            let mut after = before.clone();
            change(&mut after.labels)?;
            let changed = device::ActiveModel {
                updated_at: Set(scope.now()),
                revision: Set(revision + 1),
                labels: Set(after.labels.clone().into()),
                ..Default::default()
            };
            scope
                .update::<device::Entity>()
                .set(changed)
                .filter(device::Column::Id.eq(key))
                .exec(&*transaction)
                .await?;
            scope
                .delete::<device_label::Entity>()
                .filter(device_label::Column::DeviceKey.eq(key))
                .exec(&*transaction)
                .await?;
            insert_labels(scope, &transaction, DeviceKey(key), &after.labels).await?;
            scope
                .note_changed(&transaction, subject(RESOURCE, id), &before, &after)
                .await?;
            Ok(after.labels)
        })
        .await
}

/// Removes a device and returns it; its uplinks, events and downlinks are deleted later.
pub async fn delete(scope: &Scope, id: &str) -> Result<Device> {
    scope
        .write(async |transaction| {
            let key = scope
                .find::<device::Entity>()
                .filter(device::Column::DeviceId.eq(id))
                .select_only()
                .column(device::Column::Id)
                .into_tuple::<i64>()
                .one(&*transaction)
                .await?
                .ok_or_else(|| missing(id))?;
            // The writer of uplinks also locks states before devices.
            let state = hold_states(scope, &transaction, vec![key]).await?.pop();
            let which = Condition::all()
                .add(device::Column::Id.eq(key))
                .add(device::Column::DeviceId.eq(id));
            let model = scope
                .lock_as::<device::Entity>(&transaction, LockType::Update, which, || missing(id))
                .await?;
            let device = Device::try_from((model, state))?;
            bury(scope, &transaction, vec![key]).await?;
            scope
                .note_deleted(&transaction, subject(RESOURCE, id), &device.provisioned)
                .await?;
            Ok(device)
        })
        .await
}
