//! Sigfox.

pub mod downlink;
pub mod uplink;
