//! ChirpStack, version 4; messages of version 3 are read as well.

pub mod downlink;
pub mod uplink;
mod v3;
