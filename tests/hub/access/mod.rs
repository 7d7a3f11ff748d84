//! Permissions, and the guards against others.

mod accounts;
mod audit;
mod guesses;
mod operators;
pub mod permissions;
mod sessions;
mod shares;
mod tenants;
mod user_names;
