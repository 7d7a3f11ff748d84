//! Faults around a hub: receivers that misbehave, hubs that are killed, databases that fail.

pub(crate) mod concurrent_changes;
pub(crate) mod connections;
pub(crate) mod cut_requests;
mod fillings;
pub(crate) mod full_disk;
pub(crate) mod interleaved;
mod kills;
pub mod load;
pub(crate) mod lock_order;
pub(crate) mod outage;
pub mod receiver;
mod receivers;
pub(crate) mod shared_fate;
mod siege;
pub(crate) mod silence;
mod stress;
mod takeover;
