//! LORIOT.

pub mod downlink;
pub mod uplink;
