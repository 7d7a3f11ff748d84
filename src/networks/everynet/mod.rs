//! Everynet, whose uplinks alone the hub takes.

pub mod uplink;
