//! The database schema, one group of tables per file, which is never edited after a release.
//!
//! The same statements are used for SQLite and PostgreSQL. Every table has a tenant; rows that belong to a
//! resource are deleted with it (`ON DELETE CASCADE`), so that there are no orphans. This crate imports
//! nothing from the hub, so that a change of an entity cannot change a migration.

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

mod columns;
mod m0001_tenants_and_users;
mod m0002_networks;
mod m0003_drivers;
mod m0004_devices;
mod m0005_uplinks;
mod m0006_data_tables;
mod m0007_integrations;
mod m0008_access;
mod m0009_device_imports;
mod m0010_driver_versions;
mod m0011_list_orders;
mod m0012_driver_states;
mod m0013_network_messages;
mod m0014_downlinks;
mod m0015_leases;
mod m0016_delivery_engine;
mod m0017_integration_payload;
mod m0018_redecoding;
mod m0019_recent_messages;
mod m0020_dead_deliveries;
mod m0021_write_probes;
mod m0022_connection_oddities;
mod m0023_import_files;
mod m0024_username_skeletons;
mod m0025_claimed_keys;
mod m0026_removals;
mod m0027_answered_uplinks;
mod m0028_clock_steps;
mod m0029_given_up_deliveries;
mod m0030_stream_keys;
mod m0031_http_mappings;
mod m0032_retention;
mod m0034_data_table_fills;
mod m0035_partitions;
mod m0036_rollups;
mod m0037_scheduled_exports;
mod m0038_data_table_imports;
mod m0039_first_revisions;
mod m0040_rollup_totals;

/// Migrates a database to the newest schema.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_tenants_and_users::Migration),
            Box::new(m0002_networks::Migration),
            Box::new(m0003_drivers::Migration),
            Box::new(m0004_devices::Migration),
            Box::new(m0005_uplinks::Migration),
            Box::new(m0006_data_tables::Migration),
            Box::new(m0007_integrations::Migration),
            Box::new(m0008_access::Migration),
            Box::new(m0009_device_imports::Migration),
            Box::new(m0010_driver_versions::Migration),
            Box::new(m0011_list_orders::Migration),
            Box::new(m0012_driver_states::Migration),
            Box::new(m0013_network_messages::Migration),
            Box::new(m0014_downlinks::Migration),
            Box::new(m0015_leases::Migration),
            Box::new(m0016_delivery_engine::Migration),
            Box::new(m0017_integration_payload::Migration),
            Box::new(m0018_redecoding::Migration),
            Box::new(m0019_recent_messages::Migration),
            Box::new(m0020_dead_deliveries::Migration),
            Box::new(m0021_write_probes::Migration),
            Box::new(m0022_connection_oddities::Migration),
            Box::new(m0023_import_files::Migration),
            Box::new(m0024_username_skeletons::Migration),
            Box::new(m0025_claimed_keys::Migration),
            Box::new(m0026_removals::Migration),
            Box::new(m0027_answered_uplinks::Migration),
            Box::new(m0028_clock_steps::Migration),
            Box::new(m0029_given_up_deliveries::Migration),
            Box::new(m0030_stream_keys::Migration),
            Box::new(m0031_http_mappings::Migration),
            Box::new(m0032_retention::Migration),
            Box::new(m0034_data_table_fills::Migration),
            Box::new(m0035_partitions::Migration),
            Box::new(m0036_rollups::Migration),
            Box::new(m0037_scheduled_exports::Migration),
            Box::new(m0038_data_table_imports::Migration),
            Box::new(m0039_first_revisions::Migration),
            Box::new(m0040_rollup_totals::Migration),
        ]
    }
}
