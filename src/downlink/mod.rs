//! Downlinks: what is queued for devices goes to their network servers.
//!
//! The queue is the database ([`crate::store::downlinks::queue`]), so nothing is held in memory alone.
//! Each network connection has a lane of its own, so that a network server that is away delays no
//! other; the downlinks of one device go one after another. A downlink may be sent twice when a hub
//! dies between the network server's answer and its own note of it, and is never lost.
//!
//! | file | contents |
//! |---|---|
//! | `transport.rs` | settings and secrets for a connection's downlinks |
//! | `engine.rs`, `lane.rs` | scheduling and sending |
//!
//! How each network server wants a downlink stands in [`crate::networks`].

mod engine;
mod lane;
pub mod transport;

pub use engine::Engine;
