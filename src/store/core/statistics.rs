//! What SQLite assumes of the number of rows that a search by an index finds.
//!
//! SQLite gathers statistics only on request and never expires them: figures of a nearly empty database would make it scan
//! whole tables once they have grown. Without any it assumes that ten rows belong to a tenant, and prefers an index by
//! tenant to the keys of dozens of rows, so that one transaction reads all devices. A file therefore has statistics that
//! never change, of a database that is large.

use std::collections::BTreeSet;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement, TransactionTrait,
};

/// Assumed number of rows of a table; SQLite itself assumes as many.
const ROWS: u32 = 1 << 20;
/// Assumed number of rows of a tenant.
const OF_TENANT: u32 = 1 << 16;
/// Assumed numbers of rows of a tenant that have the same value in the next column of an index, in two columns, and so on.
const NARROWED: [u32; 4] = [1000, 100, 10, 5];
/// Prevents searches by an index without its first column, which would try every tenant.
const OPTIONS: &str = "noskipscan";

/// Indexes that begin with the tenant.
const INDEXES: &str = "SELECT tables.name, indexes.name, indexes.\"unique\", \
     (SELECT count(*) FROM pragma_index_info(indexes.name)) AS columns \
     FROM sqlite_schema AS tables JOIN pragma_index_list(tables.name) AS indexes \
     WHERE tables.type = 'table' AND (SELECT name FROM pragma_index_info(indexes.name) WHERE seqno = 0) = 'tenant_id'";

/// Statistics by table and index, which is none for a table without indexes.
type Statistics = BTreeSet<(String, Option<String>, String)>;

/// Writes the statistics in place of those that the file has, unless it has them. Connections that are opened afterwards
/// use them.
pub async fn assume(pool: &DatabaseConnection) -> Result<(), DbErr> {
    let wanted = wanted(pool).await?;
    if found(pool).await?.as_ref() == Some(&wanted) {
        return Ok(());
    }
    let transaction = pool.begin().await?;
    for statement in [
        // Creates the table of statistics, which no other statement may.
        "ANALYZE tenants",
        "DELETE FROM sqlite_stat1",
        "DROP TABLE IF EXISTS sqlite_stat4",
    ] {
        transaction.execute_unprepared(statement).await?;
    }
    for (table, index, numbers) in wanted {
        let insert = Statement::from_sql_and_values(
            DbBackend::Sqlite,
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)",
            [table.into(), index.into(), numbers.into()],
        );
        transaction.execute_raw(insert).await?;
    }
    transaction.commit().await
}

/// Returns the statistics that a file is to have.
async fn wanted(pool: &DatabaseConnection) -> Result<Statistics, DbErr> {
    let rows = rows(pool, INDEXES).await?;
    let of_index = |row: &QueryResult| {
        let (is_unique, columns) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        let numbers = assumed(columns, is_unique);
        Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, numbers))
    };
    rows.iter().map(of_index).collect()
}

/// Returns the statistics that a file has; `None` if it has no table of them, or another one besides.
async fn found(pool: &DatabaseConnection) -> Result<Option<Statistics>, DbErr> {
    let tables = "SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite#_stat_' ESCAPE '#'";
    let tables = rows(pool, tables).await?;
    let tables: Result<Vec<String>, DbErr> =
        tables.iter().map(|row| row.try_get_by_index(0)).collect();
    if tables? != ["sqlite_stat1"] {
        return Ok(None);
    }
    let rows = rows(pool, "SELECT tbl, idx, stat FROM sqlite_stat1").await?;
    let of_index = |row: &QueryResult| {
        let (table, index) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok((table, index, row.try_get_by_index(2)?))
    };
    rows.iter()
        .map(of_index)
        .collect::<Result<_, _>>()
        .map(Some)
}

async fn rows(pool: &DatabaseConnection, query: &str) -> Result<Vec<QueryResult>, DbErr> {
    pool.query_all_raw(Statement::from_string(DbBackend::Sqlite, query))
        .await
}

/// Returns the statistics of an index by the tenant and other columns, in the form of `sqlite_stat1`.
fn assumed(columns: i64, is_unique: bool) -> String {
    let others = usize::try_from(columns - 1).unwrap_or_default();
    let last = NARROWED[NARROWED.len() - 1];
    let narrowed = NARROWED
        .into_iter()
        .chain(std::iter::repeat(last))
        .take(others);
    let mut numbers: Vec<u32> = [ROWS, OF_TENANT].into_iter().chain(narrowed).collect();
    if is_unique && let Some(last) = numbers.last_mut() {
        *last = 1;
    }
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    format!("{} {OPTIONS}", numbers.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_columns_find_fewer_rows() {
        assert_eq!(assumed(1, false), "1048576 65536 noskipscan");
        assert_eq!(assumed(3, false), "1048576 65536 1000 100 noskipscan");
        assert_eq!(assumed(3, true), "1048576 65536 1000 1 noskipscan");
        assert_eq!(
            assumed(7, false),
            "1048576 65536 1000 100 10 5 5 5 noskipscan"
        );
    }
}
