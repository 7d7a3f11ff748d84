//! Any server that posts JSON and takes HTTP requests.

pub mod downlink;
mod radio;
pub mod uplink;
