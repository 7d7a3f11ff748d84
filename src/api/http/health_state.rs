//! How devices and network connections are.

use poem_openapi::Enum;
use serde::Serialize;

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

impl From<HealthStateView> for HealthState {
    fn from(state: HealthStateView) -> Self {
        match state {
            HealthStateView::Ok => HealthState::Ok,
            HealthStateView::Failing => HealthState::Failing,
            HealthStateView::NeverSeen => HealthState::NeverSeen,
        }
    }
}

impl From<HealthState> for HealthStateView {
    fn from(state: HealthState) -> Self {
        match state {
            HealthState::Ok => HealthStateView::Ok,
            HealthState::Failing => HealthStateView::Failing,
            HealthState::NeverSeen => HealthStateView::NeverSeen,
        }
    }
}
