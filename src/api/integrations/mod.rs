//! Integrations and their deliveries.

pub(super) mod control;
pub(super) mod deliveries;
pub(super) mod errors;
pub(super) mod health;
pub(super) mod messages;
pub(super) mod payload;
pub(super) mod policy;
pub(super) mod replays;
pub(super) mod resource;
pub(super) mod stream;
pub(super) mod targets;
