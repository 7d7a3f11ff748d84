//! Actility's ThingPark.

mod downlink;
mod uplink;

pub use downlink::Downlinks;
pub use uplink::{AS_KEY, Uplinks};
