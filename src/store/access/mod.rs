//! Callers, and the resources of their rights: users, API keys, tenants, the audit log.

pub mod api_keys;
pub mod audit_log;
pub mod authority;
pub mod identity;
pub mod tenants;
pub(in crate::store) mod user;
pub mod users;
