//! A Kafka client: connects to the brokers of a cluster and writes records to topics.
//!
//! | file | what it holds |
//! |---|---|
//! | `settings.rs` | the settings of a cluster |
//! | `topic.rs` | templates and rules of topics |
//! | `leaders.rs` | the leaders of a topic's partitions, in compact form |
//! | `producer.rs` | looks up the leaders, and passes each record to its broker's lane |
//! | `lane.rs` | the records for one broker, in requests |
//! | `handshake.rs` | connecting to a broker: versions and login |
//! | `connection.rs` | one connection: requests and responses |
//! | `login.rs` | SASL |
//! | `answers.rs` | parses responses |
//! | `failure.rs` | failures, and whether they can be retried |
//!
//! Requests and batches of records are encoded by kafka-protocol. Responses are parsed here, because that
//! crate's decoder allocates memory for as many elements as a response announces, so that a broker could
//! crash the hub with one message. Advertised names of brokers pass the same guard as those that a user has
//! given.
//!
//! Invariant: nothing is stored on disk. A record that no broker has acknowledged has failed, and the caller
//! must retry it.

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
