//! Kerlink's Wanesy Management Center, whose uplinks alone the hub takes.

pub mod uplink;
