//! Any broker.

pub mod downlink;
pub mod uplink;
