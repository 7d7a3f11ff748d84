//! Downlinks: what is queued for devices goes to their network servers.
//!
//! The queue is the database ([`crate::store::downlink_queue`]), so nothing is held in memory alone.
//! Each network connection has a lane of its own, so that a network server that is away delays no
//! other; the downlinks of one device go one after another. A downlink may be sent twice when a hub
//! dies between the network server's answer and its own note of it, and is never lost.
//!
//! | file | what it holds |
//! |---|---|
//! | `settings.rs` | which network server takes downlinks, and how it wants them |
//! | `way.rs` | what a connection's downlinks are sent with |
//! | `networks/` | one file for each: from a downlink to the request or the message, from the answer to what it means |
//! | `engine.rs`, `lane.rs` | who sends, and when |

mod engine;
mod lane;
pub mod transport;

pub use crate::networks::downlink_settings::{DownlinkSettings, place};
pub use engine::Engine;
