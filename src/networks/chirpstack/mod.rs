//! ChirpStack v4, and messages of v3.

mod broker;
mod downlink;
mod uplink;
mod v3;

pub use broker::BrokerUplinks;
pub use downlink::{BrokerDownlinks, Downlinks};
pub use uplink::Uplinks;
