//! Callers and their permissions, sessions, passwords, and throttles against guessing.

pub(super) mod caller;
pub(super) mod key_uses;
pub(super) mod password_rules;
pub(super) mod passwords;
pub mod permission;
pub mod recovery;
pub(super) mod sessions;
pub(super) mod stream_keys;
pub(super) mod throttle;
pub mod users;
