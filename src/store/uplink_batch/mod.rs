//! Recording of a batch of messages in one transaction.
//!
//! Messages of several tenants share a batch, so that one flush to disk serves all waiting messages; every row still
//! carries its own tenant. If a message's device was removed, or its tenant removed or changed, on any hub, between
//! look-up and write, its outcome is [`Outcome::Gone`], and the caller looks it up again.
//!
//! Identifiers are generated in the transaction: readers that follow new records use the open transactions to know
//! which identifiers may still appear (`live.rs`).
//!
//! Invariant: rows are locked in one order (ARCHITECTURE.md): the states of devices, the devices, connections, data
//! tables, integrations, and the health of connections; rows of one kind by key.

mod insert;
mod message;
mod rows;
mod uplink;
mod writing;

pub use message::{Content, Message, Outcome, Record, Recorded, Render};
