//! The Things Stack, version 3.

mod broker;
mod downlink;
mod uplink;

pub use broker::BrokerUplinks;
pub use downlink::{BrokerDownlinks, Downlinks};
pub use uplink::Uplinks;
