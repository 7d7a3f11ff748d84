//! Connections that the hub makes for its users: the guard for all of them, TLS and HTTP, and the clients of
//! brokers and databases. This crate does not depend on the hub.

pub mod kafka;
pub mod mqtt;
pub mod outgoing;
pub mod postgres;
pub mod topic;
