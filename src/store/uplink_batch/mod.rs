//! The one transaction that a batch of messages is written in.
//!
//! Messages of several tenants share a batch, so that one flush to disk serves all who wait; every
//! row still carries its own tenant. A message whose device has gone between look-up and write, or whose
//! tenant has gone or been changed meanwhile, on whichever hub, is reported as [`Outcome::Gone`]: the caller
//! looks it up again.
//!
//! Ids are made in the transaction: who follows what is recorded knows by the transactions that are open
//! which ids can still turn up (`live.rs`).
//!
//! Invariant: rows are locked in one order (ARCHITECTURE.md): the states of devices, the devices,
//! connections, data tables, integrations, and the health of connections; of each kind by key.

mod insert;
mod message;
mod rows;
mod uplink;
mod writing;

pub use message::{Content, Message, Outcome, Record, Recorded, Render};
