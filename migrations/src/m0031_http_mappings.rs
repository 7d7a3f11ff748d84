//! Network connections of the type `http` have their pointers in `mapping`, as those of the type `mqtt` do.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{DbBackend, Statement},
};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        // SQLite stores the JSON as text.
        let nested = match backend {
            DbBackend::Sqlite => {
                "json_object('type', 'http', 'mapping', json(json_remove(settings, '$.type')))"
            }
            _ => "jsonb_build_object('type', 'http', 'mapping', settings - 'type')",
        };
        let update =
            format!("UPDATE network_connections SET settings = {nested} WHERE kind = 'http'");
        let statement = Statement::from_string(backend, update);
        manager.get_connection().execute_raw(statement).await?;
        Ok(())
    }
}
