//! The Things Stack, version 3.

pub mod downlink;
pub mod uplink;
