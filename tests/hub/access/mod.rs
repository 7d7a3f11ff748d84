//! Permissions, and the guards against others.

mod accounts;
mod guesses;
mod operators;
pub mod permissions;
mod shares;
mod tenants;
mod user_names;
