//! Downlinks: sends the queued downlinks of devices to their network servers.
//!
//! The queue is in the database ([`crate::store::downlinks::queue`]), so nothing is held in memory
//! alone. Each network connection has its own lane, so that an unavailable network server does not
//! delay others. Downlinks of one device are sent in order. If a hub fails between the network server's
//! answer and the settlement, the downlink is sent again; it is never lost.
//!
//! | file | contents |
//! |---|---|
//! | `transport.rs` | settings and secrets for a connection's downlinks |
//! | `engine.rs`, `lane.rs` | scheduling and sending |
//!
//! The conversion for each network server is in [`crate::networks`].

mod engine;
mod lane;
pub mod transport;

pub use engine::Engine;
