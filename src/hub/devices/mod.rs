//! Devices: the rules between a device and the drivers and network connections to which it refers.

use std::collections::{HashMap, HashSet};

use crate::{
    driver::BuiltIn,
    error::{Error, Reason, Result},
    networks::{self, fold_network_device_id},
    reference::{DriverReferenceKind, Reference},
    store::{
        Scope,
        devices::{self, Device, NewDevice},
        drivers::versions,
        networks as connections,
    },
    text::Kind,
};

pub mod downlinks;
pub mod imports;

/// Ids that devices must not have, because their paths are other operations.
const RESERVED: [&str; 3] = ["import", "export", "bulk"];

/// Adds a device.
pub async fn create(scope: &Scope, mut new: NewDevice) -> Result<Device> {
    if new.id.is_empty() {
        new.id = crate::id::new_uuid().to_string();
    }
    check_id(&new.id)?;
    devices::insert(scope, checked(scope, new).await?).await
}

/// Replaces a device.
pub async fn update(scope: &Scope, new: NewDevice) -> Result<Device> {
    devices::update(scope, checked(scope, new).await?).await
}

async fn checked(scope: &Scope, new: NewDevice) -> Result<NewDevice> {
    let known = References::of(scope, [&new]).await?;
    known.check(new)
}

/// Rejects an id that is the name of another path below `devices`.
pub fn check_id(id: &str) -> Result<()> {
    if RESERVED.contains(&id) {
        let rule = "must not be import, export or bulk, which are paths of the API";
        return Err(Error::field("id", rule));
    }
    Ok(())
}

/// The drivers and network connections that exist among those to which devices refer.
pub struct References {
    connections: HashMap<i64, String>,
    drivers: HashSet<String>,
}

impl References {
    /// Looks up the drivers and network connections to which these devices refer.
    pub async fn of(scope: &Scope, devices: impl IntoIterator<Item = &NewDevice>) -> Result<Self> {
        let (mut ids, mut references) = (HashSet::new(), HashSet::new());
        for device in devices {
            ids.extend(
                device
                    .connections
                    .iter()
                    .map(|address| address.network_connection_id),
            );
            references.extend(device.driver.as_deref());
        }
        let mut connections = HashMap::new();
        if !ids.is_empty() {
            let ids: Vec<i64> = ids.into_iter().collect();
            let existing = connections::existing(scope, &ids).await?;
            connections.extend(existing);
        }
        let mut drivers = HashSet::new();
        for reference in references {
            let Some(parsed) = Reference::parse(reference) else {
                continue;
            };
            if BuiltIn::find(&parsed.key.author, &parsed.key.name).is_some() {
                drivers.insert(reference.to_owned());
                continue;
            }
            let found = versions::find_digest(scope, &parsed.key, &parsed.pick()).await?;
            if found.is_some() {
                drivers.insert(reference.to_owned());
            }
        }
        Ok(Self {
            connections,
            drivers,
        })
    }

    /// Returns the device in the form in which it is stored; fails if it refers to something that does not
    /// exist.
    pub fn check(&self, mut new: NewDevice) -> Result<NewDevice> {
        for address in &mut new.connections {
            address.network_device_id = fold_network_device_id(&address.network_device_id);
        }
        for (index, address) in new.connections.iter().enumerate() {
            let place = |field: &str| format!("connectivity.connections[{index}].{field}");
            let id = address.network_connection_id;
            let kind = self.connections.get(&id).ok_or_else(|| {
                Error::of_field(
                    Reason::UnknownReference,
                    &place("network_connection_id"),
                    format!("there is no network connection {id}"),
                )
            })?;
            networks::check_device_id(kind, &address.network_device_id)
                .map_err(|rule| Error::field(&place("network_device_id"), rule))?;
        }
        if let Some(reference) = &new.driver {
            let broken = || Error::field("driver", DriverReferenceKind::RULE);
            let parsed = Reference::parse(reference).ok_or_else(broken)?;
            if !self.drivers.contains(reference) {
                let rule = format!("there is no driver {parsed}");
                return Err(Error::of_field(Reason::UnknownReference, "driver", rule));
            }
        }
        Ok(new)
    }
}
