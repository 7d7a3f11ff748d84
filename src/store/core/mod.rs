//! Foundations that all resources share: connections, transactions and their signals, time and identifiers, lists,
//! leases.

pub(super) mod arrivals;
pub(super) mod audit;
pub(super) mod batches;
pub(super) mod bulk;
pub mod clearing;
pub(super) mod clock_steps;
pub(super) mod connect;
#[cfg(test)]
pub(super) mod cut_work;
pub mod demand;
pub(super) mod due;
pub(super) mod epochs;
pub(super) mod failure;
pub(super) mod file;
mod first_revisions;
pub(super) mod gather;
pub(super) mod handle;
pub mod health;
mod holding;
pub mod idempotency;
pub(super) mod ids;
pub mod jobs;
pub(super) mod json;
pub(super) mod kept;
pub mod leases;
pub mod listing;
pub(super) mod migrating;
pub(super) mod page;
pub(super) mod patience;
pub(super) mod probe;
pub(super) mod reader;
pub(super) mod removed;
pub(super) mod rows;
pub(super) mod scope;
pub(super) mod selectors;
pub(super) mod shared_clock;
pub(super) mod signals;
mod space;
pub mod starting;
pub mod statistics;
pub(super) mod storable;
pub(super) mod time;
pub(super) mod transaction;
pub(super) mod words;
pub(super) mod writability;
