//! Skeletons of usernames: names that look the same to a person have the same skeleton, which must be
//! unique.
//!
//! Of existing users with the same skeleton, the oldest gets it; all keep their names.

use std::collections::HashSet;

use sea_orm_migration::{
    prelude::*,
    schema::*,
    sea_orm::{Statement, TryGetable},
};
use unicode_security::skeleton;

use crate::columns::{add_column, unique};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // NULL: an older user looks like this one.
        add_column(manager, "users", text_null("username_skeleton")).await?;
        give_skeletons(manager).await?;
        manager
            .create_index(unique("users", &["username_skeleton"]))
            .await
    }
}

async fn give_skeletons(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let backend = manager.get_database_backend();
    let select = "SELECT id, username_folded FROM users ORDER BY id";
    let rows = connection
        .query_all_raw(Statement::from_string(backend, select))
        .await?;
    let mut given = HashSet::new();
    for row in rows {
        let id = i64::try_get(&row, "", "id")?;
        let folded = String::try_get(&row, "", "username_folded")?;
        let look: String = skeleton(&folded).collect();
        if given.insert(look.clone()) {
            let update = Query::update()
                .table("users")
                .value("username_skeleton", look)
                .and_where(Expr::col("id").eq(id))
                .to_owned();
            connection.execute(&update).await?;
        }
    }
    Ok(())
}
