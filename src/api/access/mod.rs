//! Authentication and authorization: sessions, users, API keys, tenants and the audit log.

pub(super) mod api_keys;
pub(super) mod audit_log;
pub(super) mod errors;
pub(super) mod sessions;
pub(super) mod tenants;
pub(super) mod users;
