//! MQTT as a client: how the hub reaches brokers, publishes to them and hears from them.
//!
//! | file | what it holds |
//! |---|---|
//! | `settings.rs` | what a broker's connection is made of, and its rules |
//! | `dial.rs` | the way to the broker: addresses by the guard, TLS, WebSocket |
//! | `pieces.rs` | WebSocket messages of any size in small pieces |
//! | `packets.rs` | packets out of bytes, but for messages that are too large |
//! | `flood.rs` | how many packets a broker may send |
//! | `session.rs` | one connection: the handshake, packets in and out, keep-alive |
//! | `publisher.rs` | publishes and waits for the broker's acknowledgement |
//! | `topic.rs` | what topics may be made of |
//! | `sas.rs` | the tokens that Azure IoT Hub takes for a password |
//! | `backoff.rs` | when to try again |
//!
//! Packets and the state of the protocol are rumqttc's. Its own event loop is not used: it resolves
//! the broker's name by itself, so that an address that the guard has checked could not be pinned.
//!
//! Invariant: nothing here is kept on disk. Who publishes keeps what is not acknowledged, and who
//! subscribes acknowledges what has been kept.

mod backoff;
mod dial;
mod flood;
mod packets;
mod pieces;
mod publisher;
mod sas;
mod session;
mod settings;
mod topic;

pub use backoff::Backoff;
pub use packets::Incoming;
pub use publisher::{Publication, Publisher, Publishers};
pub use rumqttc::QoS;
pub use session::{Happening, Life, Session};
pub use settings::{
    Broken, Broker, BrokerCredentials, BrokerSettings, CLIENT_KEY, LastWill, PASSWORD,
    SHARED_ACCESS_KEY, check_filter, check_topic,
};
pub use topic::TopicTemplate;
