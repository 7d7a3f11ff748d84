//! Many rows in one statement, in the way that is fast on each database.
//!
//! SQLite takes a multi-row INSERT. PostgreSQL would parse and plan a new one for every number of
//! rows, so there the rows travel as one JSON parameter of a statement that never changes.

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    IdenStatic, Iterable, Statement, Value as SqlValue, sea_query::OnConflict,
};
use serde_json::{Map, Value};

/// Rows in one INSERT: stays below SQLite's limit on bound values.
const ROWS_PER_INSERT: usize = 1000;

/// What to do with a row that is there already.
pub struct Replace<C> {
    /// The column that tells that it is.
    pub key: C,
    /// The columns that are replaced.
    pub columns: Vec<C>,
}

/// Inserts all rows; those that are there already are an error, or replaced.
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
    let columns: Vec<&str> = E::Column::iter().map(|column| column.as_str()).collect();
    let columns = columns.join(", ");
    let mut sql = format!(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, $1)"
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
    let rows: Vec<Value> = rows.into_iter().map(as_object::<E, A>).collect();
    let statement =
        Statement::from_sql_and_values(DbBackend::Postgres, sql, [Value::Array(rows).into()]);
    transaction.execute_raw(statement).await?;
    Ok(())
}

fn as_object<E, A>(mut row: A) -> Value
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E>,
{
    let members = E::Column::iter().map(|column| {
        let value = row.take(column).into_value().map_or(Value::Null, as_json);
        (column.as_str().to_owned(), value)
    });
    Value::Object(members.collect::<Map<_, _>>())
}

/// The value in the form from which PostgreSQL reads it back as the column's type.
fn as_json(value: SqlValue) -> Value {
    match value {
        SqlValue::Bool(Some(value)) => value.into(),
        SqlValue::Int(Some(value)) => value.into(),
        SqlValue::BigInt(Some(value)) => value.into(),
        SqlValue::String(Some(value)) => value.to_string().into(),
        SqlValue::Uuid(Some(value)) => value.to_string().into(),
        SqlValue::ChronoDateTimeUtc(Some(value)) => value.to_rfc3339().into(),
        SqlValue::Bytes(Some(value)) => format!("\\x{}", hex::encode(&*value)).into(),
        SqlValue::Json(Some(value)) => *value,
        _ => Value::Null,
    }
}
