//! Drivers: the registry, what they decode and encode, and what keeps them in.

mod agreement;
mod archives;
mod bad_drivers;
mod calls;
mod data;
mod examples;
mod fair_share;
mod host;
mod redecode;
pub mod registry;
mod rewrite;
mod sandbox;
mod shipped_examples;
mod tryout;
mod upgrade;
mod workers;
