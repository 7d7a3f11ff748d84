//! Any server that posts JSON and accepts HTTP requests.

mod downlink;
mod mapping;
mod pointer;
mod radio;
mod uplink;

pub use downlink::Downlinks;
pub use mapping::Mapping;
pub use uplink::Uplinks;
