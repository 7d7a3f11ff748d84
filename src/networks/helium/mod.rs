//! Helium's Console (uplinks only).

mod uplink;

pub use uplink::Uplinks;
