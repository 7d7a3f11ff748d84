//! Who is calling, and the resources of who may do what.

pub mod api_keys;
pub mod audit_log;
pub mod authority;
pub mod identity;
pub mod tenants;
pub mod users;
