//! Everynet, whose uplinks alone the hub takes.

mod uplink;

pub use uplink::Uplinks;
