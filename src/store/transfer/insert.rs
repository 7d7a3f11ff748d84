//! Inserts rows: on SQLite with statements of many rows, on PostgreSQL with an array for each column.

use chrono::{DateTime, Utc};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Postgres, Sqlite};

use super::{
    blueprint::{Kind, Table},
    cell::{Cell, Row},
    source::Connection,
};
use crate::error::{Error, Result};

/// Maximum number of values of a statement of SQLite.
const VALUES_MAX: usize = 30_000;
/// Maximum number of rows of a statement of SQLite: longer ones save nothing.
const ROWS_MAX: usize = 100;

/// Inserts rows in one transaction.
pub async fn rows(connection: &mut Connection, table: &Table, rows: &[Row]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let inserted = match connection {
        Connection::Sqlite(connection) => sqlite(connection, table, rows).await,
        Connection::Postgres(connection) => postgres(connection, table, rows).await,
    };
    inserted.map_err(|error| Error::internal(format!("{}: {error}", table.name)))
}

fn names(table: &Table) -> String {
    let names = table
        .columns
        .iter()
        .map(|column| format!("\"{}\"", column.name));
    names.collect::<Vec<_>>().join(", ")
}

async fn sqlite(
    connection: &mut sqlx::pool::PoolConnection<Sqlite>,
    table: &Table,
    rows: &[Row],
) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    let width = table.columns.len();
    for chunk in rows.chunks((VALUES_MAX / width.max(1)).clamp(1, ROWS_MAX)) {
        let places = format!("({})", vec!["?"; width].join(", "));
        let places = vec![places; chunk.len()].join(", ");
        let statement = format!(
            "INSERT INTO \"{}\" ({}) VALUES {places}",
            table.name,
            names(table)
        );
        let mut query = sqlx::query::<Sqlite>(AssertSqlSafe(statement));
        for cell in chunk.iter().flatten() {
            query = match cell {
                Cell::Null => query.bind(None::<i64>),
                Cell::Integer(value) => query.bind(*value),
                Cell::Boolean(value) => query.bind(*value),
                Cell::Text(value) | Cell::Json(value) => query.bind(value.as_str()),
                Cell::Bytes(value) => query.bind(value.as_slice()),
                Cell::Uuid(value) => query.bind(*value),
                Cell::Time(value) => query.bind(time(*value)),
            };
        }
        query.execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

async fn postgres(
    connection: &mut sqlx::pool::PoolConnection<Postgres>,
    table: &Table,
    rows: &[Row],
) -> sqlx::Result<()> {
    let columns = table.columns.iter().enumerate();
    let (mut arrays, mut values) = (Vec::new(), Vec::new());
    for (index, column) in columns {
        let number = index + 1;
        let (array, cast) = match column.kind {
            Kind::Integer => ("bigint", ""),
            Kind::Boolean => ("boolean", ""),
            Kind::Text => ("text", ""),
            Kind::Json => ("text", "::jsonb"),
            Kind::Bytes => ("bytea", ""),
            Kind::Uuid => ("uuid", ""),
            Kind::Time => ("timestamptz", ""),
        };
        arrays.push(format!("${number}::{array}[]"));
        values.push(format!("v{number}{cast}"));
    }
    let labels: Vec<String> = (1..=arrays.len())
        .map(|number| format!("v{number}"))
        .collect();
    let statement = format!(
        "INSERT INTO \"{}\" ({}) SELECT {} FROM unnest({}) AS rows ({})",
        table.name,
        names(table),
        values.join(", "),
        arrays.join(", "),
        labels.join(", "),
    );
    let mut query = sqlx::query::<Postgres>(AssertSqlSafe(statement));
    for (index, column) in table.columns.iter().enumerate() {
        let cells = rows.iter().map(|row| row.get(index).unwrap_or(&Cell::Null));
        query = match column.kind {
            Kind::Integer => query.bind(array(cells, |cell| match cell {
                Cell::Integer(value) => Some(*value),
                _ => None,
            })),
            Kind::Boolean => query.bind(array(cells, |cell| match cell {
                Cell::Boolean(value) => Some(*value),
                _ => None,
            })),
            Kind::Text | Kind::Json => query.bind(array(cells, |cell| match cell {
                Cell::Text(value) | Cell::Json(value) => Some(value.as_str()),
                _ => None,
            })),
            Kind::Bytes => query.bind(array(cells, |cell| match cell {
                Cell::Bytes(value) => Some(value.as_slice()),
                _ => None,
            })),
            Kind::Uuid => query.bind(array(cells, |cell| match cell {
                Cell::Uuid(value) => Some(*value),
                _ => None,
            })),
            Kind::Time => query.bind(array(cells, |cell| match cell {
                Cell::Time(value) => Some(time(*value)),
                _ => None,
            })),
        };
    }
    let mut transaction = connection.begin().await?;
    query.execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Cells of a type other than their column's are lost here, and found when the digests are compared.
fn array<'a, T>(
    cells: impl Iterator<Item = &'a Cell>,
    value: impl Fn(&'a Cell) -> Option<T>,
) -> Vec<Option<T>> {
    cells.map(value).collect()
}

fn time(microseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(microseconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_time_keeps_its_microseconds() {
        for microseconds in [0, 1, -1, 1_764_417_600_123_456] {
            assert_eq!(time(microseconds).timestamp_micros(), microseconds);
        }
    }

    #[test]
    fn uuids_are_copied_as_they_are() {
        let cells = [Cell::Uuid(Uuid::from_u128(1)), Cell::Null];
        let copied = array(cells.iter(), |cell| match cell {
            Cell::Uuid(value) => Some(*value),
            _ => None,
        });
        assert_eq!(copied, [Some(Uuid::from_u128(1)), None]);
    }
}
