//! Network connections and the messages that they receive.

pub(super) mod appended;
pub(super) mod auto_provisioning;
pub(super) mod check;
pub(super) mod downlink_settings;
pub(super) mod errors;
pub(super) mod events;
pub(super) mod ingest;
pub(super) mod message;
pub(super) mod resource;
pub(super) mod servers;
pub(super) mod unknown_devices;
