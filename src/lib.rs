//! thingshub: a self-hosted IoT hub with a contract-first REST API.
//!
//! `ARCHITECTURE.md` describes the layers and the main paths through the code.

pub mod api;
pub mod app;
mod backup;
mod batch;
pub mod cli;
pub mod codec;
pub mod config;
pub mod delivery;
pub mod downlink;
pub mod error;
mod export;
mod housekeeping;
pub mod hub;
pub mod id;
mod jobs;
pub mod keyring;
mod live;
pub mod metrics;
pub mod networks;
mod pace;
mod private;
pub mod reference;
mod retry;
mod rollups;
pub mod secret;
pub mod selector;
mod shares;
mod sole_lease;
pub mod store;
mod supervise;
pub mod text;
mod threads;
pub mod tls;
pub mod traces;
mod turns;
pub mod uplink;
mod username;

pub use base::clock;
pub use driver_host as driver;
pub use net_clients::{kafka, mqtt, outgoing};
use net_clients::{postgres, s3, sftp, topic};
