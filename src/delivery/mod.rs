//! Delivery: sends the messages that the uplink path queued for integrations, at least once.
//!
//! Invariants: a delivery is never held in memory alone (the queue is in the database, see
//! [`crate::store::deliveries`]); nothing is sent inside a transaction; each integration has its own
//! [`lane`], so that an unavailable endpoint delays no other, and a [`breaker`], so that it costs no
//! resources; attempts are stored in batches ([`settler`]); all targets that users configure are
//! reached through the [`crate::outgoing::Guard`].

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
pub use payload::{Payload, Purpose, RenderError, SAMPLE};
pub use targets::{Answer, FOLLOWED, TARGET_TYPES, check, hosts, place};
