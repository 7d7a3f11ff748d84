//! What all connections that the hub makes for its users share.

pub mod dial;
mod guard;
mod http;

pub use guard::Guard;
pub use http::{Answer, Caller, Request};
