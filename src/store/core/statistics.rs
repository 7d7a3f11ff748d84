//! Assumptions of SQLite about the number of rows that a search by an index finds.
//!
//! SQLite gathers statistics only on request and never expires them: figures of a nearly empty database would make it scan
//! whole tables once they have grown. Without any it assumes that ten rows belong to a tenant or a data table, and prefers
//! an index by that to the keys of a dozen rows: it reads all devices for some, and all rows for those of three devices.
//! A file therefore has statistics that never change, of a database that is large.

use std::collections::BTreeSet;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement, TransactionTrait,
};

/// Assumed number of rows of a table; SQLite itself assumes as many.
const ROWS: u32 = 1 << 20;
/// Columns that name the owner of many rows, with the number of rows that is assumed of an owner.
const OWNERS: [(&str, u32); 4] = [
    ("tenant_id", 1 << 16),
    ("data_table_id", 1 << 15),
    ("integration_id", 1 << 15),
    ("connection_id", 1 << 15),
];
/// Assumed numbers of rows of an owner that have the same value in the next column of an index, in two columns, and so on.
const NARROWED: [u32; 4] = [1000, 100, 10, 5];
/// Prevents searches by an index without its first column, which would try every owner.
const OPTIONS: &str = "noskipscan";

/// Indexes with their first columns.
const INDEXES: &str = "SELECT tables.name, indexes.name, first.name, indexes.\"unique\", \
     (SELECT count(*) FROM pragma_index_info(indexes.name)) AS columns \
     FROM sqlite_schema AS tables JOIN pragma_index_list(tables.name) AS indexes \
     JOIN pragma_index_info(indexes.name) AS first ON first.seqno = 0 \
     WHERE tables.type = 'table' AND first.name IS NOT NULL";

/// Table, index and statistics in the form of `sqlite_stat1`. The index is `None` in the line of a table without indexes.
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
    let mut wanted = Statistics::new();
    for row in rows(pool, INDEXES).await? {
        let first: String = row.try_get_by_index(2)?;
        let Some((_, owned)) = OWNERS.into_iter().find(|(owner, _)| *owner == first) else {
            continue;
        };
        let (is_unique, columns) = (row.try_get_by_index(3)?, row.try_get_by_index(4)?);
        let numbers = assumed(owned, columns, is_unique);
        wanted.insert((row.try_get_by_index(0)?, row.try_get_by_index(1)?, numbers));
    }
    Ok(wanted)
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

/// Returns the statistics of an index by the owner of so many rows and by other columns, in the form of `sqlite_stat1`.
fn assumed(owned: u32, columns: i64, is_unique: bool) -> String {
    let others = usize::try_from(columns - 1).unwrap_or_default();
    let last = NARROWED[NARROWED.len() - 1];
    let narrowed = NARROWED.into_iter().chain(std::iter::repeat(last));
    let mut numbers: Vec<u32> = [ROWS, owned]
        .into_iter()
        .chain(narrowed.take(others))
        .collect();
    if is_unique && let Some(last) = numbers.last_mut() {
        *last = 1;
    }
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    format!("{} {OPTIONS}", numbers.join(" "))
}

#[cfg(test)]
mod tests {
    use migrations::{Migrator, MigratorTrait};

    use super::*;
    use crate::store::core::{
        connect::{self, Purpose},
        writability::Writability,
    };

    #[test]
    fn more_columns_find_fewer_rows() {
        assert_eq!(assumed(7, 1, false), "1048576 7 noskipscan");
        assert_eq!(
            assumed(65536, 3, false),
            "1048576 65536 1000 100 noskipscan"
        );
        assert_eq!(assumed(65536, 3, true), "1048576 65536 1000 1 noskipscan");
        assert_eq!(
            assumed(65536, 7, false),
            "1048576 65536 1000 100 10 5 5 5 noskipscan"
        );
    }

    /// Statements as the hub sends them, and what their plans must have.
    #[tokio::test]
    async fn rows_are_found_by_what_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/t.db", folder.path().display());
        let state = Writability::new(DbBackend::Sqlite);
        let open = async || {
            connect::sqlite(&url, 1, Purpose::Create, &state)
                .await
                .unwrap()
        };
        let pool = open().await;
        Migrator::up(&pool, None).await.unwrap();
        for _ in 0..2 {
            assume(&pool).await.unwrap();
        }
        pool.close().await.unwrap();
        let pool = open().await;
        let keys = ["?"; 64].join(", ");
        let spans = ["(device_id = ? AND ts >= ? AND ts < ?)"; 64].join(" OR ");
        for (statement, by) in [
            (
                format!("SELECT * FROM devices WHERE tenant_id = ? AND device_id IN ({keys}) ORDER BY id"),
                "device_id=?",
            ),
            (
                format!("SELECT * FROM device_states WHERE tenant_id = ? AND device_key IN ({keys})"),
                "rowid=?",
            ),
            (
                format!("DELETE FROM device_labels WHERE tenant_id = ? AND device_key IN ({keys})"),
                "device_key=?",
            ),
            (
                format!("SELECT * FROM data_table_rows WHERE tenant_id = ? AND data_table_id = ? AND ({spans})"),
                "device_id=?",
            ),
            (
                "SELECT * FROM data_table_rows WHERE tenant_id = ? AND data_table_id = ? AND device_id = ? \
                 AND ts >= ? AND ts < ? ORDER BY ts, id"
                    .to_owned(),
                "device_id=?",
            ),
            (
                "SELECT * FROM events WHERE tenant_id = ? AND connection_id = ? AND kind = ? AND id >= ? \
                 ORDER BY id"
                    .to_owned(),
                "kind=?",
            ),
        ] {
            let plan = rows(&pool, &format!("EXPLAIN QUERY PLAN {statement}")).await;
            let steps: Vec<String> = plan
                .unwrap()
                .iter()
                .map(|row| row.try_get("", "detail").unwrap())
                .collect();
            let searches = steps.iter().filter(|step| step.starts_with("SEARCH"));
            let searches: Vec<&String> = searches.collect();
            assert!(!searches.is_empty(), "{statement}: {steps:?}");
            for search in searches {
                assert!(search.contains(by), "{statement}: {steps:?}");
            }
        }
    }
}
