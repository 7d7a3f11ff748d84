//! Who may do what, and what keeps others out.

mod accounts;
mod guesses;
mod operators;
mod permissions;
mod shares;
mod tenants;
mod user_names;
