//! Backups, restores, copies and checks of the whole database.

mod check;
mod copies;
mod files;
mod interrupted;
mod restores;
mod schema;

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::PathBuf, process::Stdio};

use sea_orm::{ConnectionTrait, Database as Driver, Statement};
use tempfile::TempDir;
use tokio::process::Child;

use crate::support::{
    database::{Database, on_empty_postgres},
    server::{Hub, program},
};

const TO_HERE: [&str; 2] = ["--outgoing-allow", "127.0.0.0/8"];

/// Settings of a hub that does not run: its folder and its database.
pub struct Place {
    pub folder: TempDir,
    pub database: Database,
}

/// The end of a command.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub error: String,
}

impl Place {
    pub fn new(database: Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, database }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    pub fn url(&self) -> String {
        match &self.database {
            Database::Sqlite => format!("sqlite://{}", self.file("thingshub.db").display()),
            Database::Postgres(url) => url.clone(),
        }
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = vec![
            "--data-dir".to_owned(),
            self.folder.path().join("data").display().to_string(),
        ];
        if let Database::Postgres(url) = &self.database {
            settings.extend(["--database-url".to_owned(), url.clone()]);
        }
        settings
    }

    /// Makes the folder for the hub's files.
    pub fn make_folder(&self) {
        let data = self.folder.path().join("data");
        DirBuilder::new().mode(0o700).create(data).unwrap();
    }

    /// Runs a command on this database.
    pub async fn command(&self, arguments: &[&str]) -> Ended {
        let settings = self.settings();
        let settings = settings.iter().map(String::as_str);
        run(&arguments
            .iter()
            .copied()
            .chain(settings)
            .collect::<Vec<_>>())
        .await
    }

    /// Starts a command on this database.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = program();
        command.args(arguments).args(self.settings());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Starts a hub here.
    pub async fn hub(self) -> Hub {
        Hub::start_at(self.folder, self.database, &TO_HERE, &[]).await
    }
}

/// Runs a command of the program.
pub async fn run(arguments: &[&str]) -> Ended {
    let output = program().args(arguments).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code(),
        out: text(output.stdout),
        error: text(output.stderr),
    }
}

impl Ended {
    /// Asserts success; returns what it prints.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// Asserts a failure that is reported in one line; returns the line.
    pub fn refused(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.error.lines().count(), 1, "{self:?}");
        self.error
    }
}

/// Runs the test with an empty database of the same kind.
pub async fn with_another<F>(database: &Database, test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    match database {
        Database::Sqlite => test(Database::Sqlite).await,
        Database::Postgres(_) => on_empty_postgres(test).await,
    }
}

/// Runs the test with an empty database of the other kind.
pub async fn with_the_other<F>(database: &Database, test: impl FnOnce(Database) -> F)
where
    F: Future<Output = ()>,
{
    match database {
        Database::Sqlite => on_empty_postgres(test).await,
        Database::Postgres(_) => test(Database::Sqlite).await,
    }
}

/// Returns the only value of a query as text; `None` while that is not possible.
pub async fn find(url: &str, query: &str) -> Option<String> {
    let connection = Driver::connect(url).await.ok()?;
    let statement = Statement::from_string(connection.get_database_backend(), query);
    let row = connection.query_one_raw(statement).await.ok().flatten();
    connection.close().await.unwrap();
    row?.try_get_by_index(0).ok()
}

/// Number of uplinks; `None` while there is no such table.
pub async fn uplinks(url: &str) -> Option<u64> {
    let query = "SELECT CAST(count(*) AS text) FROM uplinks";
    find(url, query).await?.parse().ok()
}

/// Multiplies the first uplink.
pub async fn multiply(hub: &Hub, count: u32) {
    let columns = "device_key, connection_id, received_at, ts, f_port, raw, radio, data";
    let of_one: String = columns.replace(", ", ", one.");
    let into = format!("INSERT INTO uplinks (tenant_id, {columns}, f_cnt, id)");
    let one = "(SELECT * FROM uplinks LIMIT 1) AS one";
    let statement = match &hub.database {
        Database::Sqlite => format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             {into} SELECT one.tenant_id, one.{of_one}, n.i, randomblob(16) FROM n, {one}"
        ),
        Database::Postgres(_) => format!(
            "{into} SELECT one.tenant_id, one.{of_one}, n, gen_random_uuid() \
             FROM generate_series(1, {count}) AS n, {one}"
        ),
    };
    hub.sql(&statement).await;
}
