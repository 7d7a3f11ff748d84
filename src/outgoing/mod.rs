//! What all connections that the hub makes for its users share.

pub mod dial;
mod guard;

pub use guard::Guard;
