//! Kafka as a client: how the hub reaches the brokers of a cluster and writes records to topics.
//!
//! | file | what it holds |
//! |---|---|
//! | `settings.rs` | what a cluster's connection is made of |
//! | `topic.rs` | what topics may be named |
//! | `leaders.rs` | who leads the partitions of a topic, in little space |
//! | `producer.rs` | who leads which partition, and who gets a record |
//! | `lane.rs` | the records for one broker, in requests |
//! | `handshake.rs` | the way to a broker: versions and login |
//! | `connection.rs` | one connection: a request and its answer |
//! | `login.rs` | SASL |
//! | `answers.rs` | reads what brokers answer |
//! | `failure.rs` | what went wrong, and whether it is worth trying again |
//!
//! Requests and batches of records are encoded by kafka-protocol. What brokers answer is read here:
//! that crate's decoder reserves as many places as an answer says it has elements, so that a broker
//! could end the hub with one message. Names that brokers are advertised under go through the same
//! guard as those that a user has given.
//!
//! Invariant: nothing here is kept on disk. A record that no broker has acknowledged has failed, and
//! whoever asked for it tries again.

mod answers;
mod connection;
mod failure;
mod handshake;
mod lane;
mod leaders;
mod login;
mod producer;
mod settings;
mod topic;

pub use failure::Failure;
pub use producer::{Outgoing, Producer};
pub use settings::{Address, Cluster, Login, Mechanism};
pub use topic::TopicTemplate;
