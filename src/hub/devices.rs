//! Devices: what must hold between a device and what it refers to.

use crate::{
    error::{Error, Result},
    store::{
        Scope,
        devices::{self, Device, NewDevice},
        drivers::{self, DriverKey},
        network_connections,
    },
    text,
    uplink::networks::{self, fold_network_device_id},
};

/// Adds a device.
pub async fn create(scope: &Scope, mut new: NewDevice) -> Result<Device> {
    if new.id.is_empty() {
        new.id = crate::id::new_uuid().to_string();
    }
    devices::insert(scope, checked(scope, new).await?).await
}

/// Replaces a device.
pub async fn update(scope: &Scope, new: NewDevice) -> Result<Device> {
    devices::update(scope, checked(scope, new).await?).await
}

async fn checked(scope: &Scope, mut new: NewDevice) -> Result<NewDevice> {
    for address in &mut new.connections {
        address.network_device_id = fold_network_device_id(&address.network_device_id);
    }
    let ids: Vec<i64> = new
        .connections
        .iter()
        .map(|address| address.network_connection_id)
        .collect();
    if !ids.is_empty() {
        let existing = network_connections::existing(scope, &ids).await?;
        for (index, address) in new.connections.iter().enumerate() {
            let broken = |field: &str, rule: &str| {
                Error::field(&format!("connectivity.connections[{index}].{field}"), rule)
            };
            let id = address.network_connection_id;
            let (_, kind) = existing
                .iter()
                .find(|(found, _)| *found == id)
                .ok_or_else(|| {
                    broken(
                        "network_connection_id",
                        &format!("there is no network connection {id}"),
                    )
                })?;
            networks::check_device_id(kind, &address.network_device_id)
                .map_err(|rule| broken("network_device_id", rule))?;
        }
    }
    if let Some(reference) = &new.driver {
        let broken = || Error::field("driver", "must read author/name:tag");
        let (author, name, tag) = text::driver_parts(reference).ok_or_else(broken)?;
        let key = DriverKey {
            author: author.to_owned(),
            name: name.to_owned(),
        };
        if !drivers::has_tag(scope, &key, tag).await? {
            return Err(Error::field(
                "driver",
                format!("there is no driver {author}/{name}:{tag}"),
            ));
        }
    }
    Ok(new)
}
