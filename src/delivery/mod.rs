//! Delivery: what the uplink path has queued for integrations goes out, at least once.
//!
//! Invariants: a delivery is never held in memory alone (the queue is the database, see
//! [`crate::store::deliveries`]); nothing is sent inside a transaction; each integration has a lane
//! of its own, so that a dead endpoint delays nothing but itself; whatever a user may name as a
//! target goes through the [`crate::outgoing::Guard`].

mod engine;
mod lane;
mod payload;
mod schedule;
mod targets;

pub use engine::{Engine, Wake};
pub use payload::Payload;
pub use targets::VAULT_PURPOSE;
