//! What all connections that the hub makes for its users share.

mod guard;

pub use guard::Guard;
