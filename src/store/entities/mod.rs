//! One entity a table, as `migrations` makes it. Only `store` uses them.

pub mod api_key;
pub mod audit_entry;
pub mod connection_health;
pub mod data_table;
pub mod data_table_row;
pub mod delivery;
pub mod delivery_attempt;
pub mod device;
pub mod device_connection;
pub mod device_import;
pub mod device_import_batch;
pub mod device_import_row;
pub mod device_label;
pub mod device_state;
pub mod driver;
pub mod driver_tag;
pub mod driver_tag_move;
pub mod driver_version;
pub mod event;
pub mod idempotency_key;
pub mod integration;
pub mod network_connection;
pub mod session;
pub mod tenant;
pub mod uplink;
pub mod user;
