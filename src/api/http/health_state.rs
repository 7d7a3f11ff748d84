//! Health states of devices and network connections.

use poem_openapi::Enum;
use serde::Serialize;

use super::mirror::mirror;
use crate::store::core::health::HealthState;

/// Health of a device or a network connection.
///
/// - `ok`: the last message was accepted; for a device, its driver did not fail.
/// - `failing`: the driver of the device failed on the last uplink, the last message of the network connection was
///   rejected, or its broker is not connected.
/// - `never_seen`: nothing was received yet.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case", rename = "HealthState")]
#[serde(rename_all = "snake_case")]
pub enum HealthStateView {
    /// The last message was accepted.
    Ok,
    /// The last message was not accepted, or the broker of a network connection is not connected.
    Failing,
    /// Nothing was received yet.
    NeverSeen,
}

mirror!(HealthStateView = HealthState: Ok, Failing, NeverSeen);
