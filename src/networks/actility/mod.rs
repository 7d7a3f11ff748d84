//! Actility's ThingPark.

pub mod downlink;
pub mod uplink;
