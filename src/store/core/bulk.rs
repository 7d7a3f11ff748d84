//! Inserts of many rows in one statement, in the form that is fast on each database.
//!
//! SQLite takes a multi-row INSERT. PostgreSQL would parse and plan a new one for every number of rows, so there the
//! rows travel as one JSON parameter of a statement that never changes.

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic, Iterable,
    Statement, Value as SqlValue, sea_query::OnConflict,
};
use serde::{Serialize, Serializer, ser};

use super::{storable, transaction::DatabaseTransaction};

/// Rows per INSERT; stays below SQLite's limit on bound values.
const ROWS_PER_INSERT: usize = 1000;

/// Handling of rows that exist already.
pub struct Replace<C> {
    /// Column whose conflict identifies an existing row.
    pub key: C,
    /// Columns to replace.
    pub columns: Vec<C>,
}

/// Inserts all rows. A row that exists already is an error, or is replaced if `replace` is given.
pub async fn insert<E, A>(
    transaction: &DatabaseTransaction,
    rows: Vec<A>,
    replace: Option<Replace<E::Column>>,
) -> Result<(), DbErr>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    if rows.is_empty() {
        return Ok(());
    }
    if transaction.get_database_backend() == DbBackend::Postgres {
        return insert_as_json::<E, A>(transaction, rows, replace).await;
    }
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut insert = E::insert_many(rows.by_ref().take(ROWS_PER_INSERT));
        if let Some(Replace { key, columns }) = &replace {
            insert = insert.on_conflict(
                OnConflict::column(*key)
                    .update_columns(columns.iter().copied())
                    .to_owned(),
            );
        }
        insert.exec_without_returning(transaction).await?;
    }
    Ok(())
}

async fn insert_as_json<E, A>(
    transaction: &DatabaseTransaction,
    rows: Vec<A>,
    replace: Option<Replace<E::Column>>,
) -> Result<(), DbErr>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E> + Send,
{
    let table = E::default().table_name().to_owned();
    // The database fills in columns that no row sets, such as generated keys.
    let is_set = |column: &E::Column| rows.iter().any(|row| !row.get(*column).is_not_set());
    let columns: Vec<&str> = E::Column::iter()
        .filter(is_set)
        .map(|column| column.as_str())
        .collect();
    let columns = columns.join(", ");
    let mut sql = format!(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, $1::json)"
    );
    if let Some(Replace { key, columns }) = replace {
        let replaced: Vec<String> = columns
            .iter()
            .map(|column| format!("{0} = excluded.{0}", column.as_str()))
            .collect();
        sql += &format!(
            " ON CONFLICT ({}) DO UPDATE SET {}",
            key.as_str(),
            replaced.join(", ")
        );
    }
    let rows = rows.into_iter().map(as_object::<E, A>).collect::<Vec<_>>();
    // Serialized to text first: the driver would copy a tree of values before writing it out.
    let rows = serde_json::to_string(&rows).map_err(|error| DbErr::Json(error.to_string()))?;
    let rows = storable::json(rows);
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [rows.into()]);
    transaction.execute_raw(statement).await?;
    Ok(())
}

/// Row that serializes to a JSON object, with its members in the order of the columns.
struct Row(Vec<(&'static str, SqlValue)>);

fn as_object<E, A>(mut row: A) -> Row
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E>,
{
    let members = E::Column::iter()
        .filter_map(|column| Some((column.as_str(), row.take(column).into_value()?)));
    Row(members.collect())
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(column, value)| (column, Cell(value))))
    }
}

/// Value in the form that PostgreSQL converts back to the column's type.
struct Cell<'a>(&'a SqlValue);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            SqlValue::Bool(Some(value)) => value.serialize(serializer),
            SqlValue::Int(Some(value)) => value.serialize(serializer),
            SqlValue::BigInt(Some(value)) => value.serialize(serializer),
            // JSON has no form for the others.
            SqlValue::Double(Some(value)) if value.is_finite() => value.serialize(serializer),
            SqlValue::String(Some(value)) => value.serialize(serializer),
            SqlValue::Uuid(Some(value)) => value.serialize(serializer),
            SqlValue::ChronoDateTimeUtc(Some(value)) => value.serialize(serializer),
            SqlValue::Bytes(Some(value)) => {
                serializer.serialize_str(&format!("\\x{}", hex::encode(value)))
            }
            SqlValue::Json(Some(value)) => value.serialize(serializer),
            value if *value == value.as_null() => serializer.serialize_none(),
            // Writing NULL instead would lose the value silently.
            value => Err(ser::Error::custom(format!("no form for {value:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_an_unknown_kind_is_an_error_and_no_null() {
        let written = |value: SqlValue| serde_json::to_string(&Cell(&value));
        assert_eq!(written(SqlValue::Int(Some(7))).unwrap(), "7");
        assert_eq!(written(SqlValue::Int(None)).unwrap(), "null");
        assert_eq!(written(SqlValue::Double(None)).unwrap(), "null");
        assert_eq!(written(SqlValue::Double(Some(0.1))).unwrap(), "0.1");
        assert!(written(SqlValue::Char(Some('x'))).is_err());
        assert!(written(SqlValue::Double(Some(f64::NAN))).is_err());
    }
}
