//! Callers, and the resources that define their permissions: users, API keys, stream keys, tenants, the audit log.

pub mod api_keys;
pub mod audit_log;
pub mod authority;
pub mod identity;
pub mod stream_keys;
pub mod tenants;
pub(in crate::store) mod user;
pub mod users;
