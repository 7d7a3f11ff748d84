//! All that touches the database: the entities and every query.
//!
//! Invariant: a query starts from a [`Scope`], which holds the tenant and puts it into the
//! statement; there is no other way to a table. The exceptions find out who is calling, before a
//! tenant is known, and are all in [`access::identity`]; the delivery queue, which serves all tenants,
//! is in [`deliveries`], the [`networks::subscriptions`] and their [`core::leases`] are of all tenants, too, and
//! the imports that are not at their end are in [`devices::imports`].
//!
//! What all resources share is in [`core`], which knows none of them; the other folders are the same as in `api` and
//! `hub`. What knows all resources stands beside the folders: how the database is opened and watched, [`removals`], the
//! columns that are [`sealed`], and the transaction of an [`uplink_batch`].
//!
//! Each transaction says as it begins what must follow its commit ([`core::signals`]): [`Scope::write`] what
//! changes what is provisioned, [`Scope::record`] what happened, [`Scope::keep`] what nobody else looks at.

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
pub mod sealed;
pub mod uplink_batch;
mod watch;

pub use core::{
    file::Lock,
    handle::Store,
    json::members,
    page::Page,
    scope::{Call, Scope},
};
