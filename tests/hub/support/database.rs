//! A database for each test, and each test on both kinds.

use std::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicU32, Ordering},
};

use futures_util::FutureExt;
use sea_orm::{ConnectionTrait, Database as Driver, Statement};

use super::template;
use crate::eventually;

/// The database of a hub.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file in its data folder.
    Sqlite,
    /// A database of its own, by its URL.
    Postgres(String),
}

/// Makes two tests of each function: on SQLite and on PostgreSQL. Databases of PostgreSQL have the current schema, unless
/// `empty:` comes first.
macro_rules! on_both_databases {
    (empty: $($test:ident),* $(,)?) => {
        $crate::support::database::on_both_databases!(on_empty_postgres: $($test),*);
    };
    ($($test:ident),* $(,)?) => {
        $crate::support::database::on_both_databases!(on_postgres: $($test),*);
    };
    ($on_postgres:ident: $($test:ident),*) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test($crate::support::database::Database::Sqlite).await;
            }
        )*}

        mod postgres {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                $crate::support::database::$on_postgres(super::$test).await;
            }
        )*}
    };
}
pub(crate) use on_both_databases;

/// A variable of the environment about the test's surroundings; `None` where it is empty.
#[expect(
    clippy::disallowed_methods,
    reason = "these name the test's surroundings; they are no settings"
)]
pub fn surroundings(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Runs the test on a PostgreSQL database with the current schema, if there is a PostgreSQL.
pub async fn on_postgres<F>(test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    let Some(url) = server() else {
        return;
    };
    let name = new_name();
    template::create_database(&url, &name).await;
    run(&url, &name, test).await;
}

/// Runs the test on an empty PostgreSQL database, if there is a PostgreSQL.
pub async fn on_empty_postgres<F>(test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    if let Some(url) = server() {
        on_postgres_at(&url, test).await;
    }
}

/// Runs the test on an empty database on the server that the URL names.
pub async fn on_postgres_at<F>(url: &str, test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    let name = new_name();
    execute(url, &format!("CREATE DATABASE {name}")).await;
    run(url, &name, test).await;
}

fn server() -> Option<String> {
    of_postgres("THINGSHUB_TEST_POSTGRES_URL")
}

/// A variable of the environment about the PostgreSQL of the tests. Fails if it is not set, unless another one says that
/// tests on PostgreSQL are left out on purpose.
pub fn of_postgres(name: &str) -> Option<String> {
    let value = surroundings(name);
    if value.is_none() {
        assert!(
            surroundings("THINGSHUB_TEST_WITHOUT_POSTGRES").is_some(),
            "{name} is not set: run the tests by scripts/with-postgres, or set THINGSHUB_TEST_WITHOUT_POSTGRES=1 to leave \
             those on PostgreSQL out"
        );
        println!("{name} is not set: not run");
    }
    value
}

fn new_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("hub_test_{}_{number}", std::process::id())
}

/// Runs the test on this database, which is then dropped.
async fn run<F>(url: &str, name: &str, test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    let (server, _) = url.rsplit_once('/').expect("the URL names a database");
    let database = Database::Postgres(format!("{server}/{name}"));
    let outcome = AssertUnwindSafe(test(database)).catch_unwind().await;
    execute(url, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// A connection of its own that holds a lock.
pub struct Held(sea_orm::DatabaseConnection);

impl Held {
    /// Takes the lock with a statement that begins a transaction.
    pub async fn start(url: &str, statement: &str) -> Self {
        let mut options = sea_orm::ConnectOptions::new(url);
        options.max_connections(1);
        let connection = Driver::connect(options).await.unwrap();
        connection.execute_unprepared(statement).await.unwrap();
        Self(connection)
    }

    /// Runs a further statement in its transaction.
    pub async fn run(&self, statement: &str) {
        self.0.execute_unprepared(statement).await.unwrap();
    }

    /// Ends the transaction, which releases its locks.
    pub async fn end(self) {
        self.finish("ROLLBACK").await;
    }

    /// Commits the transaction, which releases its locks.
    pub async fn commit(self) {
        self.finish("COMMIT").await;
    }

    async fn finish(self, how: &str) {
        self.0.execute_unprepared(how).await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// The number of connections to this database of PostgreSQL that wait for a lock.
pub async fn waiting_for_locks(url: &str) -> usize {
    let query = "SELECT count(*)::text FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    query_text(url, query).await.parse().unwrap()
}

/// Ends when at least so many connections to this database of PostgreSQL wait for a lock.
pub async fn until_waiting(url: &str, count: usize) {
    eventually("connections wait for a lock", async || {
        (waiting_for_locks(url).await >= count).then_some(())
    })
    .await;
}

/// Runs one statement.
pub async fn execute(url: &str, statement: &str) {
    let connection = Driver::connect(url).await.unwrap();
    connection.execute_unprepared(statement).await.unwrap();
    connection.close().await.unwrap();
}

/// The text that a query answers in its one row and column.
pub async fn query_text(url: &str, query: &str) -> String {
    let connection = Driver::connect(url).await.unwrap();
    let statement = Statement::from_string(connection.get_database_backend(), query);
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    connection.close().await.unwrap();
    row.try_get_by_index(0).unwrap()
}

/// The texts that a query answers in this column.
pub async fn query_texts(url: &str, query: &str, column: &str) -> Vec<String> {
    let connection = Driver::connect(url).await.unwrap();
    let statement = Statement::from_string(connection.get_database_backend(), query);
    let rows = connection.query_all_raw(statement).await;
    connection.close().await.unwrap();
    let rows = rows.unwrap_or_else(|error| panic!("{query}: {error}"));
    let text = |row: sea_orm::QueryResult| row.try_get("", column).unwrap();
    rows.into_iter().map(text).collect()
}
