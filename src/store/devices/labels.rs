//! Labels of many devices.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, QueryFilter, QuerySelect};
use serde_json::Value;

use crate::{
    error::Result,
    store::{core::scope::Scope, entities::device},
};

/// Number of devices that one statement reads.
const AT_ONCE: usize = 500;

/// Returns the labels of the devices that exist, in their order.
pub async fn labels_of(scope: &Scope, devices: &[String]) -> Result<HashMap<String, Vec<String>>> {
    let mut found = HashMap::new();
    for devices in devices.chunks(AT_ONCE) {
        let rows: Vec<(String, Value)> = scope
            .find::<device::Entity>()
            .filter(device::Column::DeviceId.is_in(devices))
            .select_only()
            .columns([device::Column::DeviceId, device::Column::Labels])
            .into_tuple()
            .all(scope.reader())
            .await?;
        for (device, labels) in rows {
            found.insert(device, serde_json::from_value(labels).unwrap_or_default());
        }
    }
    Ok(found)
}
