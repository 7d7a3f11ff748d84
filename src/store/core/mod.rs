//! Machinery that all resources share: connections, transactions and what follows them, time and ids, lists, leases.

pub(super) mod audit;
pub(super) mod bulk;
pub(super) mod clock_steps;
pub(super) mod connect;
#[cfg(test)]
pub(super) mod cut_work;
pub(super) mod epochs;
pub(super) mod failure;
pub(super) mod file;
pub(super) mod gather;
pub mod health;
pub mod idempotency;
pub(super) mod ids;
pub mod leases;
pub mod listing;
pub(super) mod migrating;
pub(super) mod patience;
pub(super) mod reader;
pub(super) mod selecting;
pub(super) mod shared_clock;
pub(super) mod signals;
pub mod starting;
pub(super) mod storable;
pub(super) mod transaction;
pub(super) mod writability;
