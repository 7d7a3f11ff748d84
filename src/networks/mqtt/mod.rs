//! Any MQTT broker.

mod downlink;
mod uplink;

pub use downlink::Downlinks;
pub use uplink::Uplinks;
