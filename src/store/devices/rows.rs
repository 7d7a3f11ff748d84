//! Rows of devices and of their dependents: locking, writing and removal.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use serde_json::{Map, Value};

use crate::{
    clock::Time,
    error::{Error, Reason, Result},
    id::DeviceKey,
    store::{
        core::{failure, gather::padded, removed, scope::Scope, transaction::DatabaseTransaction},
        devices::record::{Address, Device, NewDevice},
        downlinks::record::State,
        entities::{
            device, device_connection, device_label, device_state, downlink, driver_state,
            redecoding,
        },
        networks,
    },
};

/// Locks the states of devices in the order of their keys. Deletions of devices and changes of referenced rows take
/// these locks before those of the devices.
pub(in crate::store) async fn hold_states(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    keys: Vec<i64>,
) -> Result<Vec<device_state::Model>> {
    Ok(scope
        .find::<device_state::Entity>()
        .filter(device_state::Column::DeviceKey.is_in(padded(keys)))
        .order_by_asc(device_state::Column::DeviceKey)
        .lock(LockType::Update)
        .all(transaction)
        .await?)
}

/// Locks devices in the order of their keys, before their downlinks are changed. Rows that refer to them may still
/// be written.
pub(in crate::store) async fn hold(
    transaction: &DatabaseTransaction,
    keys: Vec<i64>,
) -> Result<(), DbErr> {
    if keys.is_empty() {
        return Ok(());
    }
    device::Entity::find()
        .filter(device::Column::Id.is_in(padded(keys)))
        .order_by_asc(device::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .select_only()
        .column(device::Column::Id)
        .into_tuple::<i64>()
        .all(transaction)
        .await?;
    Ok(())
}

/// Removes devices, which are locked with their states. Small dependent rows and queued downlinks are deleted at
/// once.
pub(in crate::store) async fn bury(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    keys: Vec<i64>,
) -> Result<(), DbErr> {
    macro_rules! delete {
        ($($entity:ident),*) => {$(
            scope
                .delete::<$entity::Entity>()
                .filter($entity::Column::DeviceKey.is_in(keys.clone()))
                .exec(transaction)
                .await?;
        )*};
    }
    delete!(
        device_state,
        driver_state,
        redecoding,
        device_label,
        device_connection
    );
    scope
        .delete::<downlink::Entity>()
        .filter(downlink::Column::DeviceKey.is_in(keys.clone()))
        .filter(downlink::Column::State.eq(State::Queued.as_str()))
        .exec(transaction)
        .await?;
    let last: Option<Option<i64>> = scope
        .find::<device::Entity>()
        .filter(device::Column::Id.is_in(keys.clone()))
        .select_only()
        .column_as(device::Column::Revision.max(), "last")
        .into_tuple()
        .one(transaction)
        .await?;
    removed::bury::<device::Entity>(device::Column::DeviceId)
        .col_expr(device::Column::Name, Expr::value(None::<String>))
        .filter(device::Column::Id.is_in(keys))
        .exec(transaction)
        .await?;
    match last.flatten() {
        Some(last) => scope.note_last_revision(transaction, last).await,
        None => Ok(()),
    }
}

/// Gives new devices their first revision, which is returned.
pub(super) async fn begin_revisions(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    keys: Vec<i64>,
) -> Result<i64, DbErr> {
    let first = scope.first_revision(transaction).await?;
    if first > 1 {
        scope
            .update::<device::Entity>()
            .col_expr(device::Column::Revision, Expr::value(first))
            .filter(device::Column::Id.is_in(padded(keys)))
            .exec(transaction)
            .await?;
    }
    Ok(first)
}

/// Locks the device's row until the end of the transaction and returns it.
pub(in crate::store) async fn lock(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: &str,
) -> Result<device::Model> {
    let which = device::Column::DeviceId.eq(id);
    scope
        .lock::<device::Entity>(transaction, which, || missing(id))
        .await
}

/// True if the row is of this device with unchanged addresses and driver, which determine the form of its downlinks.
pub(in crate::store) fn speaks_as_before(row: &device::Model, before: &Device) -> bool {
    let NewDevice {
        driver,
        connections,
        ..
    } = &before.provisioned;
    row.id == before.key.0
        && row.driver == *driver
        && row.connections == serde_json::json!(connections)
}

/// Returns the state of a device that has sent nothing yet.
pub(in crate::store) fn first_state(scope: &Scope, key: DeviceKey) -> device_state::ActiveModel {
    device_state::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        device_key: Set(key.0),
        reported: Set(Value::Object(Map::new())),
        desired: Set(Value::Object(Map::new())),
        received_at: Set(None),
        raw: Set(None),
        is_failing: Set(false),
        frames: Set(None),
        newest_at: Set(None),
    }
}

pub(in crate::store) fn columns(scope: &Scope, new: &NewDevice, now: Time) -> device::ActiveModel {
    device::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        updated_at: Set(now),
        device_id: Set(new.id.clone()),
        name: Set(Some(new.name.clone()).filter(|name| !name.is_empty())),
        description: Set(new.description.clone()),
        driver: Set(new.driver.clone()),
        metadata: Set(Value::Object(new.metadata.clone())),
        labels: Set(new.labels.clone().into()),
        connections: Set(serde_json::json!(new.connections)),
        ..Default::default()
    }
}

pub(in crate::store) async fn insert_parts(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    key: DeviceKey,
    new: &NewDevice,
) -> Result<()> {
    insert_labels(scope, transaction, key, &new.labels).await?;
    if !new.connections.is_empty() {
        device_connection::Entity::insert_many(address_rows(scope, key, &new.connections))
            .exec_without_returning(transaction)
            .await
            .map_err(|error| taken(error, new))?;
    }
    let connections = new.connections.iter();
    let connections = connections.map(|address| address.network_connection_id);
    networks::rows::check_live(scope, transaction, connections).await
}

pub(in crate::store) async fn insert_labels(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    key: DeviceKey,
    labels: &[String],
) -> Result<()> {
    if !labels.is_empty() {
        device_label::Entity::insert_many(label_rows(scope, key, labels))
            .exec_without_returning(transaction)
            .await?;
    }
    Ok(())
}

pub(in crate::store) fn label_rows(
    scope: &Scope,
    key: DeviceKey,
    labels: &[String],
) -> impl Iterator<Item = device_label::ActiveModel> {
    labels.iter().map(move |label| device_label::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        device_key: Set(key.0),
        label: Set(label.clone()),
    })
}

pub(in crate::store) fn address_rows(
    scope: &Scope,
    key: DeviceKey,
    addresses: &[Address],
) -> impl Iterator<Item = device_connection::ActiveModel> {
    addresses
        .iter()
        .map(move |address| device_connection::ActiveModel {
            tenant_id: Set(scope.tenant.0),
            device_key: Set(key.0),
            connection_id: Set(address.network_connection_id),
            network_device_id: Set(address.network_device_id.clone()),
        })
}

pub(in crate::store) fn missing(id: &str) -> Error {
    Error::missing("device", id)
}

/// Returns the error for an address that another device has.
pub(in crate::store) fn address_taken() -> Error {
    Error::of_field(
        Reason::AlreadyExists,
        "connectivity.connections.network_device_id",
        "another device has one of these addresses already",
    )
}

/// Returns the error for an id that is taken.
pub(in crate::store) fn id_taken(id: &str) -> Error {
    Error::of_field(
        Reason::AlreadyExists,
        "id",
        format!("there is a device \"{id}\" already"),
    )
}

/// Returns the error for a name that another device has.
pub(in crate::store) fn name_taken() -> Error {
    Error::of_field(
        Reason::AlreadyExists,
        "name",
        "another device has this name already",
    )
}

pub(in crate::store) fn taken(error: DbErr, new: &NewDevice) -> Error {
    if failure::is_dangling(&error) {
        return networks::rows::just_deleted();
    }
    match failure::duplicate(&error) {
        Some(what) if what.contains("device_connections") => address_taken(),
        Some(what) if what.contains("device_id") => id_taken(&new.id),
        Some(_) => name_taken(),
        None => error.into(),
    }
}
