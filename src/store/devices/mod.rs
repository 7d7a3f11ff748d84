//! Devices: what people provision, and what the device last said.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Scope, downlinks,
    entities::{
        device, device_connection, device_label, device_state, downlink, driver_state, redecoding,
    },
    find_of, members,
};
use crate::store::removals;
use crate::{
    clock::{self, Time},
    error::{Error, Result},
    id::{ConnectionId, DeviceKey, TenantId},
    store::{
        core::{
            audit::subject,
            failure,
            gather::{Gather, padded},
            reader::Reader,
            transaction::DatabaseTransaction,
        },
        devices::frames::Frames,
        drivers::usage,
        networks,
    },
};

pub mod batch;
pub mod bulk;
pub mod desired_state;
pub mod driver_states;
pub mod frames;
pub mod imports;
pub mod list;
pub(super) mod receptions;
pub mod redecodings;
pub mod uplinks;

/// The resource's name in paths.
pub(super) const RESOURCE: &str = "devices";

/// What a client provisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewDevice {
    /// Unique in the tenant.
    pub id: String,
    /// Unique in the tenant unless empty.
    pub name: String,
    /// For people.
    pub description: String,
    /// `author/name:tag`; nothing is decoded without one.
    pub driver: Option<String>,
    /// For selectors.
    pub labels: Vec<String>,
    /// For the client's own use.
    pub metadata: Map<String, Value>,
    /// Where its messages come from.
    pub connections: Vec<Address>,
}

/// A device's address in a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// The network connection.
    pub network_connection_id: i64,
    /// The device's id there, such as the DevEUI.
    pub network_device_id: String,
}

/// A device.
#[derive(Debug, Clone)]
pub struct Device {
    /// For references inside the hub.
    pub key: DeviceKey,
    /// What was provisioned.
    pub provisioned: NewDevice,
    /// What it last said.
    pub state: State,
    /// Grows with every change by a client.
    pub revision: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed by a client.
    pub updated_at: Time,
}

/// What a device last said, and what it should be told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The decoded fields, merged uplink by uplink.
    pub reported: Map<String, Value>,
    /// What a client wants it to be.
    pub desired: Map<String, Value>,
    /// When it last sent something.
    pub received_at: Option<Time>,
    /// The payload it last sent.
    pub raw: Option<Vec<u8>>,
    /// Whether its driver could make nothing of that.
    pub is_failing: bool,
    /// Its last frames.
    pub frames: Frames,
    /// When the newest of the frames that this is made of was received.
    pub newest_at: Option<Time>,
}

/// Adds a device.
pub async fn insert(scope: &Scope, new: NewDevice) -> Result<Device> {
    let now = clock::now();
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
                revision: 1,
                created_at: now,
                updated_at: now,
            })
        })
        .await
}

/// One device.
pub async fn get(scope: &Scope, id: &str) -> Result<Device> {
    let key = (scope.tenant, id.to_owned());
    let found = scope.store.inner.devices.get(key).await?;
    found.ok_or_else(|| missing(id))
}

/// Reads devices together for all who wait for one.
pub(super) fn gather(reader: Reader) -> Gather<(TenantId, String), Device> {
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

/// The device with this address, where there is one.
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

/// Replaces what was provisioned; the id stays.
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

/// Puts `new` in the place of a row that is locked.
pub(super) async fn replace(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    before: device::Model,
    new: &NewDevice,
) -> Result<()> {
    let key = before.id;
    let mut changed = columns(scope, new, clock::now());
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

/// Changes a device's labels alone; answers them as they are then.
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
                updated_at: Set(clock::now()),
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

/// Removes a device; its uplinks, events and downlinks are cleared away later. Answers what was removed.
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
            // The state before the device, as the writer of uplinks takes them.
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

/// The states of devices, held before the devices and in the order of their keys by whoever deletes devices
/// or changes what others refer to.
pub(super) async fn hold_states(
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

/// Holds devices in the order of their keys, before their downlinks are touched. Rows that refer to them may
/// be written meanwhile.
pub(super) async fn hold(transaction: &DatabaseTransaction, keys: Vec<i64>) -> Result<(), DbErr> {
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

/// Takes devices out of sight, which are held with their states: what is theirs alone and is little goes at
/// once, and so does what still waits to be sent to them.
pub(super) async fn bury(
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
        .filter(downlink::Column::State.eq(downlinks::State::Queued.as_str()))
        .exec(transaction)
        .await?;
    removals::bury::<device::Entity>(device::Column::DeviceId)
        .col_expr(device::Column::Name, Expr::value(None::<String>))
        .filter(device::Column::Id.is_in(keys))
        .exec(transaction)
        .await?;
    Ok(())
}

/// The device's row, as it is until the end of the transaction.
pub(super) async fn lock(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: &str,
) -> Result<device::Model> {
    let which = device::Column::DeviceId.eq(id);
    scope
        .lock::<device::Entity>(transaction, which, || missing(id))
        .await
}

/// Whether a row is that of this device, with the same addresses and driver: what it is sent is made by
/// them.
pub(super) fn speaks_as_before(row: &device::Model, before: &Device) -> bool {
    let NewDevice {
        driver,
        connections,
        ..
    } = &before.provisioned;
    row.id == before.key.0
        && row.driver == *driver
        && row.connections == serde_json::json!(connections)
}

/// The state of a device that has sent nothing yet.
pub(super) fn first_state(scope: &Scope, key: DeviceKey) -> device_state::ActiveModel {
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

pub(super) fn columns(scope: &Scope, new: &NewDevice, now: Time) -> device::ActiveModel {
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

async fn insert_parts(
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
    networks::check_live(scope, transaction, connections).await
}

async fn insert_labels(
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

pub(super) fn label_rows(
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

pub(super) fn address_rows(
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

fn missing(id: &str) -> Error {
    Error::missing("device", id)
}

/// The address is another device's.
pub(super) fn address_taken() -> Error {
    Error::Conflict(
        "connectivity.connections.network_device_id: another device has one of these addresses already"
            .to_owned(),
    )
}

/// There is such a device.
pub(super) fn id_taken(id: &str) -> Error {
    Error::Conflict(format!("id: there is a device \"{id}\" already"))
}

/// The name is another device's.
pub(super) fn name_taken() -> Error {
    Error::Conflict("name: another device has this name already".to_owned())
}

pub(super) fn taken(error: DbErr, new: &NewDevice) -> Error {
    if failure::is_dangling(&error) {
        return networks::just_deleted();
    }
    match failure::duplicate(&error) {
        Some(what) if what.contains("device_connections") => address_taken(),
        Some(what) if what.contains("device_id") => id_taken(&new.id),
        Some(_) => name_taken(),
        None => error.into(),
    }
}

impl TryFrom<(device::Model, Option<device_state::Model>)> for Device {
    type Error = Error;

    fn try_from((model, state): (device::Model, Option<device_state::Model>)) -> Result<Self> {
        let device::Model {
            tenant_id: _,
            id,
            created_at,
            updated_at,
            revision,
            device_id,
            name,
            description,
            driver,
            metadata,
            labels,
            connections,
        } = model;
        Ok(Self {
            key: DeviceKey(id),
            provisioned: NewDevice {
                id: device_id,
                name: name.unwrap_or_default(),
                description,
                driver,
                labels: serde_json::from_value(labels).map_err(Error::internal)?,
                metadata: members(metadata),
                connections: serde_json::from_value(connections).map_err(Error::internal)?,
            },
            state: state.map(State::from).unwrap_or_default(),
            revision,
            created_at,
            updated_at,
        })
    }
}

impl From<device_state::Model> for State {
    fn from(model: device_state::Model) -> Self {
        let device_state::Model {
            tenant_id: _,
            device_key: _,
            reported,
            desired,
            received_at,
            raw,
            is_failing,
            frames,
            newest_at,
        } = model;
        Self {
            reported: members(reported),
            desired: members(desired),
            received_at,
            raw,
            is_failing,
            frames: Frames::read(frames),
            newest_at,
        }
    }
}
