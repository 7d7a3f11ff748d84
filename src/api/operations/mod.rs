//! For those who run the hub.

pub(super) mod health;
