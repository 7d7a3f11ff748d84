//! Connections that the hub makes for its users: the guard for all of them, TLS and HTTP, and the clients of
//! brokers, databases, file servers and storage. This crate does not depend on the hub.

pub mod kafka;
pub mod mqtt;
pub mod outgoing;
pub mod postgres;
pub mod s3;
pub mod sftp;
pub mod topic;
