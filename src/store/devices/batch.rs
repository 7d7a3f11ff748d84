//! Writes of many devices in one transaction: new ones in multi-row inserts, replacements one by one.
//!
//! Unique values are looked up before anything is written, so that one invalid row does not cost the others their
//! transaction.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbErr, QueryFilter, QueryOrder, QuerySelect, sea_query::LockType,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Reason, Result},
    id::DeviceKey,
    store::{
        core::{
            audit::{Change, subject},
            bulk, failure,
            gather::padded,
            json::to_json,
            scope::Scope,
            transaction::DatabaseTransaction,
            words::words,
        },
        devices::{
            self,
            record::{NewDevice, RESOURCE},
            rows,
        },
        drivers::usage,
        entities::{device, device_connection},
        networks,
    },
};

/// Handling of a device that exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExisting {
    /// Refuse the row.
    Fail,
    /// Replace the device.
    Update,
    /// Leave the device as it is.
    Skip,
}

words!(OnExisting {
    Fail = "fail",
    Update = "update",
    Skip = "skip",
});

/// Outcome of writing one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The device was created.
    Created,
    /// The device existed and was replaced.
    Updated,
    /// The device existed and was left unchanged.
    Skipped,
    /// The device could not be written, for this reason.
    Failed(String),
}

/// Writes the devices in their order and returns the outcome of each.
pub async fn put(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    devices: &[NewDevice],
    on_existing: OnExisting,
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(devices.len());
    let drivers = devices.iter().filter_map(|device| device.driver.as_deref());
    let missing = usage::hold(scope, transaction, drivers).await?;
    if !missing.is_empty() {
        // A driver was deleted meanwhile: each device is written alone, so that only those that use it fail.
        for device in devices {
            let driver = device.driver.as_ref();
            outcomes.push(match driver.filter(|driver| missing.contains(*driver)) {
                Some(driver) => Outcome::Failed(usage::no_driver(driver).to_string()),
                None => put_one(scope, transaction, device, on_existing).await?,
            });
        }
        return Ok(outcomes);
    }
    while outcomes.len() < devices.len() {
        let rest = &devices[outcomes.len()..];
        let rest = &rest[..independent(rest)];
        // PostgreSQL aborts a transaction at its first error, so a savepoint contains the failure.
        let inner = transaction.begin().await?;
        let found = put_independent(scope, &inner, rest, on_existing).await;
        match inner.finish(found).await {
            Ok(found) => outcomes.extend(found),
            Err(error) if is_refusal(&error) => {
                // A concurrent write took a value after the look-up: each device is written alone, so that only the
                // conflicting ones fail.
                for device in rest {
                    outcomes.push(put_one(scope, transaction, device, on_existing).await?);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(outcomes)
}

async fn put_one(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    device: &NewDevice,
    on_existing: OnExisting,
) -> Result<Outcome> {
    let inner = transaction.begin().await?;
    let device = std::slice::from_ref(device);
    let outcomes = put_independent(scope, &inner, device, on_existing).await;
    match inner.finish(outcomes).await {
        Ok(mut outcomes) => outcomes
            .pop()
            .ok_or_else(|| Error::internal("a device without an outcome")),
        Err(error) if is_refusal(&error) => Ok(Outcome::Failed(error.to_string())),
        Err(error) => Err(error),
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Rejected { .. })
}

/// Returns the number of leading devices that share no unique value with each other; 1 at least.
fn independent(devices: &[NewDevice]) -> usize {
    let (mut ids, mut names, mut addresses) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (index, device) in devices.iter().enumerate() {
        let is_new = ids.insert(&device.id)
            && (device.name.is_empty() || names.insert(&device.name))
            && device.connections.iter().all(|address| {
                addresses.insert((address.network_connection_id, &address.network_device_id))
            });
        if !is_new {
            // A device that repeats one of its own addresses conflicts only with itself.
            return index.max(1);
        }
    }
    devices.len()
}

/// Existing rows that hold the unique values of new devices.
struct Holders {
    ids: HashMap<String, device::Model>,
    names: HashMap<String, i64>,
    addresses: HashMap<(i64, String), i64>,
}

async fn put_independent(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    devices: &[NewDevice],
    on_existing: OnExisting,
) -> Result<Vec<Outcome>> {
    let mut holders = holders(scope, transaction, devices, on_existing).await?;
    let mut outcomes = Vec::with_capacity(devices.len());
    let mut new = Vec::with_capacity(devices.len());
    // A replacement frees the unique values of the old device; the look-up does not reflect that.
    let mut has_replaced = false;
    for device in devices {
        let existing = holders.ids.remove(&device.id);
        if existing.is_some() && on_existing == OnExisting::Skip {
            outcomes.push(Outcome::Skipped);
            continue;
        }
        if existing.is_some() && on_existing == OnExisting::Fail {
            outcomes.push(Outcome::Failed(rows::id_taken(&device.id).to_string()));
            continue;
        }
        let own = existing.as_ref().map(|model| model.id);
        if let Some(error) = holders.refuse(device, own) {
            if has_replaced {
                insert(scope, transaction, &std::mem::take(&mut new)).await?;
                outcomes.push(Box::pin(put_one(scope, transaction, device, on_existing)).await?);
            } else {
                outcomes.push(Outcome::Failed(error.to_string()));
            }
            continue;
        }
        match existing {
            None => {
                new.push(device);
                outcomes.push(Outcome::Created);
            }
            Some(model) => {
                devices::replace(scope, transaction, model, device).await?;
                has_replaced = true;
                outcomes.push(Outcome::Updated);
            }
        }
    }
    insert(scope, transaction, &new).await?;
    Ok(outcomes)
}

async fn holders(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    devices: &[NewDevice],
    on_existing: OnExisting,
) -> Result<Holders> {
    let ids = existing(scope, transaction, devices, on_existing).await?;
    let names: Vec<&str> = devices
        .iter()
        .map(|device| device.name.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    let names: Vec<(String, i64)> = if names.is_empty() {
        Vec::new()
    } else {
        scope
            .find::<device::Entity>()
            .filter(device::Column::Name.is_in(padded(names)))
            .select_only()
            .column(device::Column::Name)
            .column(device::Column::Id)
            .into_tuple()
            .all(transaction)
            .await?
    };
    let addresses = || devices.iter().flat_map(|device| &device.connections);
    let connections: HashSet<i64> = addresses()
        .map(|address| address.network_connection_id)
        .collect();
    let in_networks: Vec<&str> = addresses()
        .map(|address| address.network_device_id.as_str())
        .collect();
    let addresses: Vec<(i64, String, i64)> = if in_networks.is_empty() {
        Vec::new()
    } else {
        use device_connection::Column;
        scope
            .find::<device_connection::Entity>()
            .filter(Column::ConnectionId.is_in(padded(connections.into_iter().collect())))
            .filter(Column::NetworkDeviceId.is_in(padded(in_networks)))
            .select_only()
            .column(Column::ConnectionId)
            .column(Column::NetworkDeviceId)
            .column(Column::DeviceKey)
            .into_tuple()
            .all(transaction)
            .await?
    };
    Ok(Holders {
        ids: ids
            .into_iter()
            .map(|model| (model.device_id.clone(), model))
            .collect(),
        names: names.into_iter().collect(),
        addresses: addresses
            .into_iter()
            .map(|(connection, id, key)| ((connection, id), key))
            .collect(),
    })
}

/// Returns the devices that exist already. If they are to be replaced, locks them in the order of their keys, after
/// their states, because uplinks lock the state first. The lock excludes references, because the name, which may
/// change, is a unique key.
async fn existing(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    devices: &[NewDevice],
    on_existing: OnExisting,
) -> Result<Vec<device::Model>> {
    let ids: Vec<String> = devices.iter().map(|device| device.id.clone()).collect();
    let found = || {
        let ids = padded(ids.clone());
        scope
            .find::<device::Entity>()
            .filter(device::Column::DeviceId.is_in(ids))
            .order_by_asc(device::Column::Id)
    };
    if on_existing != OnExisting::Update {
        return Ok(found().all(transaction).await?);
    }
    let keys: Vec<i64> = found()
        .select_only()
        .column(device::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    rows::hold_states(scope, transaction, keys).await?;
    Ok(found().lock(LockType::Update).all(transaction).await?)
}

impl Holders {
    /// Returns the reason why the device cannot be written; `own` is its own key if it exists already.
    fn refuse(&self, device: &NewDevice, own: Option<i64>) -> Option<Error> {
        let is_other = |key: Option<&i64>| key.is_some_and(|key| Some(*key) != own);
        if is_other(self.names.get(&device.name)) {
            return Some(rows::name_taken());
        }
        let has_taken = device.connections.iter().any(|address| {
            let address = (
                address.network_connection_id,
                address.network_device_id.clone(),
            );
            is_other(self.addresses.get(&address))
        });
        has_taken.then(rows::address_taken)
    }
}

/// Inserts devices with a few statements for all of them.
async fn insert(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    new: &[&NewDevice],
) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let now = scope.now();
    // The database does not report which of several devices it refused; the caller retries them one by one.
    let refused = |error: DbErr| match failure::duplicate(&error) {
        Some(_) => Error::rejected(Reason::AlreadyExists, "one of the devices already exists"),
        None if failure::is_dangling(&error) => rows::taken(error, new[0]),
        None => error.into(),
    };
    let refused_one = |error: DbErr| match new {
        [one] => rows::taken(error, one),
        _ => refused(error),
    };
    let rows = new.iter().map(|device| device::ActiveModel {
        created_at: Set(now),
        revision: Set(1),
        ..rows::columns(scope, device, now)
    });
    bulk::insert(transaction, rows.collect(), None)
        .await
        .map_err(refused_one)?;
    let ids = new.iter().map(|device| device.id.clone()).collect();
    let keys: Vec<(String, i64)> = scope
        .find::<device::Entity>()
        .filter(device::Column::DeviceId.is_in(padded::<String>(ids)))
        .select_only()
        .column(device::Column::DeviceId)
        .column(device::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    let keys: HashMap<String, i64> = keys.into_iter().collect();
    rows::begin_revisions(scope, transaction, keys.values().copied().collect()).await?;
    let (mut labels, mut addresses, mut states) = (Vec::new(), Vec::new(), Vec::new());
    let mut changes = Vec::with_capacity(new.len());
    for device in new {
        let key = keys
            .get(&device.id)
            .ok_or_else(|| Error::internal("a new device has no key"))?;
        let key = DeviceKey(*key);
        labels.extend(rows::label_rows(scope, key, &device.labels));
        addresses.extend(rows::address_rows(scope, key, &device.connections));
        states.push(rows::first_state(scope, key));
        changes.push(Change {
            subject: subject(RESOURCE, &device.id),
            before: None,
            after: Some(to_json(device)?),
        });
    }
    bulk::insert(transaction, labels, None).await?;
    bulk::insert(transaction, addresses, None)
        .await
        .map_err(refused_one)?;
    let addresses = new.iter().flat_map(|device| &device.connections);
    let connections = addresses.map(|address| address.network_connection_id);
    networks::rows::check_live(scope, transaction, connections).await?;
    bulk::insert(transaction, states, None).await?;
    scope.note_many(transaction, changes).await
}
