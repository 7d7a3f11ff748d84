//! Columns that all tables share: tenant, times and references.

use sea_orm_migration::{prelude::*, schema::*};

/// Creates a table for parts of a resource: they have the tenant and are deleted with the row to which they
/// refer. There is no reference to the tenant itself: checking it for every uplink would cost time, and the
/// resource has one.
pub fn table(name: &'static str) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).col(big_integer("tenant_id"));
    table
}

/// Creates a table for a resource: tenant, integer id, and the times of creation and change.
pub fn resource(name: &'static str) -> TableCreateStatement {
    let mut table = table(name);
    table
        .col(big_integer("id").auto_increment().primary_key())
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut reference(name, "tenant_id", "tenants"));
    table
}

/// Creates a column that references the `id` of another table; its row is deleted with the referenced one.
pub fn reference(
    from: &'static str,
    column: &'static str,
    to: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("fk_{from}_{column}"))
        .from(from, column)
        .to(to, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

/// Creates a unique index over the columns, named after table and columns.
pub fn unique(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    index(table, columns).unique().to_owned()
}

/// Creates an index over the columns, named after table and columns.
pub fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index
        .table(table)
        .name(format!("ix_{table}_{}", columns.join("_")));
    for column in columns {
        index.col(*column);
    }
    index
}

/// Adds a column to an existing table.
pub async fn add_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: ColumnDef,
) -> Result<(), DbErr> {
    manager
        .alter_table(Table::alter().table(table).add_column(column).to_owned())
        .await
}
