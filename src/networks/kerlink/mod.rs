//! Kerlink's Wanesy Management Center (uplinks only).

mod uplink;

pub use uplink::Uplinks;
