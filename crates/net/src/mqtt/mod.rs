//! An MQTT client: connects to brokers, publishes messages and subscribes to topics.
//!
//! | file | what it holds |
//! |---|---|
//! | `settings.rs` | the settings of a broker, and their rules |
//! | `dial.rs` | connecting to the broker: guarded addresses, TLS, WebSocket |
//! | `pieces.rs` | splits WebSocket messages of any size into small ones |
//! | `packets.rs` | decodes packets, and skips messages that are too large |
//! | `flood.rs` | the rate limit for a broker's packets |
//! | `session.rs` | one connection: the handshake, packets in and out, keep-alive |
//! | `publisher.rs` | publishes and waits for the broker's acknowledgement |
//! | `topic.rs` | templates of topics |
//! | `sas.rs` | tokens that Azure IoT Hub accepts as passwords |
//! | `backoff.rs` | the schedule of reconnects |
//!
//! Packets and the protocol's state are those of rumqttc. Its event loop is not used, because it resolves
//! the broker's name itself, so that the connection could not be pinned to an address that the guard has
//! checked.
//!
//! Invariant: nothing is stored on disk. A publisher must keep messages until they are acknowledged, and a
//! subscriber acknowledges messages after it has stored them.

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
pub use session::{Life, Session, SessionEvent};
pub use settings::{
    Broken, Broker, BrokerCredentials, BrokerSettings, CLIENT_KEY, LastWill, PASSWORD,
    SHARED_ACCESS_KEY, check_filter, check_topic,
};
pub use topic::TopicTemplate;
