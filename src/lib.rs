//! thingshub: a self-hosted IoT hub with a contract-first REST API.
//!
//! `ARCHITECTURE.md` tells how the house is laid out and which paths lead through it.

pub mod api;
pub mod app;
mod batch;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod config;
pub mod delivery;
pub mod downlink;
pub mod driver;
pub mod error;
mod housekeeping;
pub mod hub;
pub mod id;
mod jobs;
pub mod kafka;
pub mod keyring;
mod live;
pub mod mqtt;
pub mod networks;
pub mod outgoing;
mod postgres;
mod private;
pub mod reference;
mod retry;
pub mod secret;
pub mod selector;
mod shares;
pub mod store;
mod supervise;
pub mod text;
mod threads;
pub mod tls;
pub mod topic;
pub mod uplink;
mod username;
