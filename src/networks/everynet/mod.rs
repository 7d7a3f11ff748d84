//! Everynet (uplinks only).

mod uplink;

pub use uplink::Uplinks;
