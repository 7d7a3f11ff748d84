//! Any server that posts JSON and accepts HTTP requests.

mod downlink;
mod pointer;
mod radio;
mod uplink;

pub use downlink::Downlinks;
pub use uplink::Uplinks;
