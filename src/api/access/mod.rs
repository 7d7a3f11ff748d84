//! Logging in, and the resources of who may do what: users, API keys, tenants, the audit log.

pub(super) mod api_keys;
pub(super) mod audit_log;
pub(super) mod sessions;
pub(super) mod tenants;
pub(super) mod users;
