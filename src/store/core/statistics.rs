//! What SQLite assumes of the number of rows that a search by an index finds.
//!
//! SQLite gathers statistics only on request and never expires them: figures of a nearly empty database would make it scan
//! whole tables once they have grown. Without any it assumes that ten rows belong to a tenant, and prefers an index by
//! tenant to the keys of dozens of rows, so that one transaction reads all devices. A file therefore has statistics that
//! never change, of a database that is large.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, TransactionTrait};

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

/// Writes the statistics in place of those that the file has. Connections that are opened afterwards use them.
pub async fn assume(pool: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = pool.begin().await?;
    // Creates the table of statistics, which no other statement may.
    transaction.execute_unprepared("ANALYZE tenants").await?;
    transaction
        .execute_unprepared("DELETE FROM sqlite_stat1")
        .await?;
    transaction
        .execute_unprepared("DROP TABLE IF EXISTS sqlite_stat4")
        .await?;
    let indexes = Statement::from_string(DbBackend::Sqlite, INDEXES);
    for row in transaction.query_all_raw(indexes).await? {
        let (table, index): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let (is_unique, columns): (bool, i64) =
            (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        let insert = Statement::from_sql_and_values(
            DbBackend::Sqlite,
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)",
            [
                table.into(),
                index.into(),
                assumed(columns, is_unique).into(),
            ],
        );
        transaction.execute_raw(insert).await?;
    }
    transaction.commit().await
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
