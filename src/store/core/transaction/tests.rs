use super::*;
use crate::store::core::{
    connect::{self, Purpose},
    failure::Outage,
};
use tempfile::TempDir;

const LARGE: &str = "INSERT INTO t VALUES (1, zeroblob(100000))";
const SMALL: &str = "INSERT INTO t VALUES (2, x'00')";

/// Opens a database whose only connection has no space for large values; a new connection has.
async fn full() -> (TempDir, Writability, Writer) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/t.db", folder.path().display());
    let state = Writability::new(DbBackend::Sqlite);
    let pool = connect::sqlite(&url, 1, Purpose::Create, &state).await;
    let writer = Writer::new(
        pool.unwrap(),
        state.clone(),
        Patience::ENDLESS,
        Arc::default(),
    );
    for sql in [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, filler BLOB)",
        "PRAGMA max_page_count = 1",
    ] {
        writer.execute_unprepared(sql).await.unwrap();
    }
    (folder, state, writer)
}

async fn rows(writer: &Writer) -> i64 {
    let count = Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM t");
    let row = writer.query_one_raw(count).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Checks that later transactions work and their data is stored.
async fn goes_on(writer: &Writer) {
    let transaction = writer.begin([]).await.unwrap();
    transaction.execute_unprepared(LARGE).await.unwrap();
    transaction.commit().await.unwrap();
    let transaction = writer.begin([]).await.unwrap();
    transaction.execute_unprepared(SMALL).await.unwrap();
    transaction.rollback().await;
    assert_eq!(rows(writer).await, 1);
}

#[tokio::test]
async fn what_the_database_has_ended_takes_nothing_more() {
    let (_folder, state, writer) = full().await;
    let transaction = writer.begin([]).await.unwrap();
    transaction.execute_unprepared(LARGE).await.unwrap_err();
    // Outside the ended transaction, it would be written at once.
    transaction.execute_unprepared(SMALL).await.unwrap_err();
    transaction.commit().await.unwrap_err();
    assert_eq!(state.outage(), Some(Outage::DiskFull));
    goes_on(&writer).await;
}

#[tokio::test]
async fn a_savepoint_does_not_outlive_its_transaction() {
    let (_folder, _, writer) = full().await;
    let transaction = writer.begin([]).await.unwrap();
    let savepoint = transaction.begin().await.unwrap();
    savepoint.execute_unprepared(LARGE).await.unwrap_err();
    savepoint.rollback().await;
    transaction.execute_unprepared(SMALL).await.unwrap_err();
    assert!(transaction.begin().await.is_err());
    transaction.rollback().await;
    goes_on(&writer).await;
}

#[tokio::test]
async fn one_that_is_dropped_leaves_nothing_behind() {
    let (_folder, _, writer) = full().await;
    let transaction = writer.begin([]).await.unwrap();
    let savepoint = transaction.begin().await.unwrap();
    savepoint.execute_unprepared(LARGE).await.unwrap_err();
    drop(savepoint);
    drop(transaction);
    goes_on(&writer).await;
}

#[tokio::test]
async fn what_a_savepoint_contains_is_taken_back_alone() {
    let (_folder, state, writer) = full().await;
    let transaction = writer.begin([]).await.unwrap();
    transaction.execute_unprepared(SMALL).await.unwrap();
    let savepoint = transaction.begin().await.unwrap();
    savepoint.execute_unprepared(SMALL).await.unwrap_err();
    savepoint.commit().await.unwrap_err();
    transaction.commit().await.unwrap();
    assert_eq!((rows(&writer).await, state.outage()), (1, None));

    let transaction = writer.begin([]).await.unwrap();
    transaction.execute_unprepared(SMALL).await.unwrap_err();
    // PostgreSQL would answer as if it had committed.
    transaction.commit().await.unwrap_err();
}

#[tokio::test]
async fn a_statement_that_returns_rows_fails_at_its_end() {
    let (_folder, _, writer) = full().await;
    let child = "CREATE TABLE c (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t)";
    let transaction = writer.begin([]).await.unwrap();
    transaction
        .execute_unprepared("PRAGMA max_page_count = 100")
        .await
        .unwrap();
    transaction.execute_unprepared(child).await.unwrap();
    transaction.commit().await.unwrap();
    let dangling = || {
        let sql = "INSERT INTO c (t) VALUES (99) RETURNING id";
        Statement::from_string(DbBackend::Sqlite, sql)
    };
    writer.query_one_raw(dangling()).await.unwrap_err();
    let transaction = writer.begin([]).await.unwrap();
    transaction.query_one_raw(dangling()).await.unwrap_err();
    transaction.commit().await.unwrap_err();
}
