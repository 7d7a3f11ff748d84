//! The uplink path: from a network server's request to stored uplinks and queued deliveries.
//!
//! Four steps, one file each:
//!
//! 1. [`ingest`]: authenticates the sender by the connection's key and parses the message with the
//!    network's adapter;
//! 2. [`decoding`]: runs the device's driver on the payload ([`crate::codec`]);
//! 3. [`record`]: composes the uplink, the device's state, the data tables' rows and the deliveries,
//!    which [`writer`] writes in one transaction, shared by all waiting messages;
//! 4. `deliver`: notifies the [`crate::delivery`] engine about the new deliveries.
//!
//! [`redecode`] runs step 2 alone, for stored uplinks.
//!
//! Uplinks of a device whose driver keeps a state are serialised by [`turns`]; others are not.
//!
//! Invariant: a message that was answered with 200 is on disk.

mod auto_provisioning;
mod decoding;
mod events;
mod excerpt;
mod fill;
mod frame;
mod ingest;
pub mod native;
mod news;
mod path;
pub mod probe;
mod receipt;
mod record;
pub mod redecode;
mod replay;
mod route;
mod routes;
mod strangers;
mod subscriber;
mod subscription;
mod taking;
mod turns;
mod weights;
pub mod writer;

pub use auto_provisioning::Rule;
pub use fill::{Filler, Fills};
pub use ingest::Sender;
pub use path::UplinkPath;
pub use receipt::{DownlinkRequest, RawMessage, Receipt, Taken};
pub use replay::{Replayer, Replays};
pub use subscriber::Subscriber;
pub use writer::Writer;
