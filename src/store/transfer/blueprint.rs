//! The tables at a level of the schema, in the order of their references.
//!
//! The migrations themselves say what there is: they run on a database in memory, whose tables are then read. The
//! types that they declare on SQLite distinguish everything that PostgreSQL does.

use std::collections::BTreeSet;

use migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use crate::{
    error::{Error, Result},
    store::core::{
        connect::{self, Purpose},
        migrating,
        writability::Writability,
    },
};

/// Tables of the database itself.
const OTHERS: [&str; 2] = ["seaql_migrations", "sqlite_sequence"];
/// Tables that are not transferred, because the hub makes their rows of others. None references another one of them.
pub(super) const DERIVED: [&str; 5] = [
    "data_table_rollups",
    "rollup_columns",
    "rollup_hours",
    "rollup_marks",
    "rollup_totals",
];

/// The tables at a level of the schema.
#[derive(Debug, Clone)]
pub struct Blueprint {
    /// Names of the migrations that make it.
    pub migrations: Vec<String>,
    /// All tables, each after those that it references.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name of the table.
    pub name: String,
    /// Columns in the order of their names.
    pub columns: Vec<Column>,
    /// True if the database numbers the rows in the column `id`.
    pub is_numbered: bool,
    /// References to other tables.
    pub references: Vec<Reference>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name of the column.
    pub name: String,
    /// Type of its values.
    pub kind: Kind,
}

/// A reference to a row of another table.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The referencing column.
    pub column: String,
    /// The referenced table.
    pub table: String,
    /// The referenced column.
    pub to: String,
}

/// Type of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Integer,
    Boolean,
    Text,
    Json,
    Bytes,
    Uuid,
    Time,
}

impl Kind {
    /// All types.
    pub const ALL: [Self; 7] = [
        Self::Integer,
        Self::Boolean,
        Self::Text,
        Self::Json,
        Self::Bytes,
        Self::Uuid,
        Self::Time,
    ];

    /// Name of the type in the header of a backup.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Text => "text",
            Self::Json => "json",
            Self::Bytes => "bytes",
            Self::Uuid => "uuid",
            Self::Time => "time",
        }
    }

    fn declared(declared: &str) -> Option<Self> {
        let name = declared.split('(').next().unwrap_or_default();
        Some(match name.to_ascii_lowercase().as_str() {
            "integer" | "bigint" => Self::Integer,
            "boolean" => Self::Boolean,
            "varchar" | "text" => Self::Text,
            "jsonb_text" | "json_text" => Self::Json,
            "blob" | "varbinary_blob" => Self::Bytes,
            "uuid_text" => Self::Uuid,
            "timestamp_with_timezone_text" => Self::Time,
            _ => return None,
        })
    }
}

impl Blueprint {
    /// Returns the newest schema that this program knows.
    pub async fn newest() -> Result<Self> {
        Self::at(migrating::known().len()).await
    }

    /// Returns the schema after the first migrations.
    pub async fn at(level: usize) -> Result<Self> {
        let url = "sqlite::memory:";
        let writability = Writability::new(DbBackend::Sqlite);
        let pool = connect::sqlite(url, 1, Purpose::Create, &writability).await?;
        let read = Self::read(&pool, level).await;
        pool.close().await?;
        read
    }

    async fn read(pool: &DatabaseConnection, level: usize) -> Result<Self> {
        let migrations: Vec<String> = migrating::known().into_iter().take(level).collect();
        if level > 0 {
            Migrator::up(pool, Some(u32::try_from(level).unwrap_or(u32::MAX))).await?;
        }
        let names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
        let names: Vec<String> = texts(pool, names, 0).await?;
        let mut tables = Vec::new();
        for name in names
            .into_iter()
            .filter(|name| !OTHERS.contains(&name.as_str()) && !DERIVED.contains(&name.as_str()))
        {
            tables.push(table(pool, name).await?);
        }
        let tables = in_order(tables)?;
        Ok(Self { migrations, tables })
    }
}

/// Runs a query of SQLite and returns a column of texts.
async fn texts(
    pool: &DatabaseConnection,
    query: &str,
    column: usize,
) -> Result<Vec<String>, DbErr> {
    let statement = Statement::from_string(DbBackend::Sqlite, query);
    let rows = pool.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| row.try_get_by_index(column))
        .collect()
}

async fn table(pool: &DatabaseConnection, name: String) -> Result<Table> {
    let columns = format!("SELECT name, type FROM pragma_table_info('{name}') ORDER BY name");
    let names = texts(pool, &columns, 0).await?;
    let types = texts(pool, &columns, 1).await?;
    let columns = names.into_iter().zip(types).map(|(column, declared)| {
        let kind = Kind::declared(&declared).ok_or_else(|| {
            Error::internal(format!("{name}.{column} has the unknown type {declared}"))
        })?;
        Ok(Column { name: column, kind })
    });
    let columns = columns.collect::<Result<Vec<Column>>>()?;
    let references = format!(
        "SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list('{name}') ORDER BY id"
    );
    let from = texts(pool, &references, 0).await?;
    let tables = texts(pool, &references, 1).await?;
    let to = texts(pool, &references, 2).await?;
    let references = from.into_iter().zip(tables).zip(to);
    let references = references.map(|((column, table), to)| Reference { column, table, to });
    let references = references.collect();
    let made = format!("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = '{name}'");
    let is_numbered = texts(pool, &made, 0)
        .await?
        .concat()
        .contains("AUTOINCREMENT");
    Ok(Table {
        name,
        columns,
        is_numbered,
        references,
    })
}

/// Orders tables so that each comes after those that it references.
fn in_order(mut tables: Vec<Table>) -> Result<Vec<Table>> {
    let mut ordered: Vec<Table> = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    while !tables.is_empty() {
        let is_next = |table: &Table| {
            let mut references = table.references.iter();
            references
                .all(|reference| reference.table == table.name || known.contains(&reference.table))
        };
        let (next, later): (Vec<Table>, Vec<Table>) = tables.into_iter().partition(is_next);
        if next.is_empty() {
            return Err(Error::internal(
                "the tables reference each other in a circle",
            ));
        }
        known.extend(next.iter().map(|table| table.name.clone()));
        ordered.extend(next);
        tables = later;
    }
    Ok(ordered)
}
