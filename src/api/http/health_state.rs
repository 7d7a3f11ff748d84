//! Health states of devices and network connections.

use poem_openapi::Enum;
use serde::Serialize;

use super::mirror::mirror;
use crate::store::core::health::HealthState;

/// How a device or a network connection is
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case", rename = "HealthState")]
#[serde(rename_all = "snake_case")]
pub enum HealthStateView {
    /// What it sent last was understood
    Ok,
    /// What it sent last was not, or the broker of a network connection is not heard
    Failing,
    /// It has sent nothing yet
    NeverSeen,
}

mirror!(HealthStateView = HealthState: Ok, Failing, NeverSeen);
