//! ChirpStack, version 4; messages of version 3 are read as well.

mod broker;
mod downlink;
mod uplink;
mod v3;

pub use broker::BrokerUplinks;
pub use downlink::{BrokerDownlinks, Downlinks};
pub use uplink::Uplinks;
