//! Database access: the entities and every query.
//!
//! Invariant: a query starts from a [`Scope`], which holds the tenant and adds it to the statement; there is no
//! other access to a table. Exceptions are the queries that identify a caller before the tenant is known, all in
//! [`access::identity`], and those that serve all tenants: the delivery queue in [`deliveries`], the
//! [`networks::subscriptions`] with their [`core::leases`], the [`rollups`] of data tables, and unfinished background
//! jobs in [`core::jobs`].
//!
//! [`core`] contains the foundations that all resources share, and knows none of the resources; the other folders
//! correspond to those in `api` and `hub`. Beside the folders are the parts that know all resources: opening and
//! watching the database, [`removals`], the [`sealed`] columns, the [`transfer`] of whole databases, and the transaction of an [`uplink_batch`].
//!
//! Each transaction names the signals of its commit when it begins ([`core::signals`]): [`Scope::write`] is for
//! changes of configuration, [`Scope::record`] for events, and [`Scope::keep`] for data that nothing else depends
//! on.

mod entities;

pub mod access;
pub mod core;
pub mod data;
pub mod deliveries;
pub mod devices;
pub mod downlinks;
pub mod drivers;
pub mod integrations;
pub mod live;
pub mod networks;
mod open;
pub mod removals;
pub mod retention;
pub mod rollups;
pub mod sealed;
pub mod transfer;
pub mod uplink_batch;
mod watch;

pub use core::{
    file::{Lock, path as file_of},
    handle::Store,
    json::members,
    migrating::plan,
    page::Page,
    scope::{Call, Scope},
};
