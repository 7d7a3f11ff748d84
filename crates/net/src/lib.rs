//! Connections that the hub makes for its users: the guard that all of them pass, TLS and HTTP, and the clients
//! of brokers and databases. Nothing here knows the hub.

pub mod kafka;
pub mod mqtt;
pub mod outgoing;
pub mod postgres;
pub mod topic;
