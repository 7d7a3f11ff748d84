//! Endpoints for operators of the hub.

pub(super) mod health;
pub(super) mod metrics;
