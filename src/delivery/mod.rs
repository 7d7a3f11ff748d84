//! Delivery: what the uplink path has queued for integrations goes out, at least once.
//!
//! Invariants: a delivery is never held in memory alone (the queue is the database, see
//! [`crate::store::deliveries`]); nothing is sent inside a transaction; each integration has a
//! [`lane`] of its own, so that a dead endpoint delays nothing but itself, and a [`breaker`], so that
//! it costs nothing; attempts are written down together ([`settler`]); whatever a user may name as a
//! target goes through the [`crate::outgoing::Guard`].

mod attempt;
mod breaker;
mod engine;
mod handle;
mod inbox;
mod lane;
mod pace;
mod payload;
mod retention;
mod rules;
mod settler;
mod targets;
mod under_way;

pub use engine::Engine;
pub use handle::Handle;
pub use payload::{Payload, Purpose, SAMPLE, Unmade};
pub use targets::{Answer, check, place};
