//! The uplink path: from what a network server posts to what is on disk and on its way.
//!
//! Four steps, one file each:
//!
//! 1. [`ingest`]: who posts (the connection's key), what it says (the network's adapter), whom it is
//!    about (the device);
//! 2. [`decoding`]: what the device's driver makes of the payload ([`crate::codec`]);
//! 3. [`record`]: the uplink, the device's state, the data tables' rows and the deliveries, written in
//!    one transaction that [`writer`] shares among all who wait;
//! 4. `deliver`: the [`crate::delivery`] engine is told that there is work.
//!
//! [`redecode`] takes step 2 alone, for what is stored.
//!
//! The uplinks of a device whose driver keeps a state take [`turns`]; the others do not know of them.
//!
//! Invariant: what was answered with 200 is on disk.

mod auto_provisioning;
mod decoding;
mod events;
mod excerpt;
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
pub use ingest::Sender;
pub use path::UplinkPath;
pub use receipt::{Asking, Receipt, Taken, Unread};
pub use replay::{Replayer, Replays};
pub use subscriber::Subscriber;
pub use writer::Writer;
