//! Empty databases with the current schema, which are made once and copied for each hub: migrations take longer than
//! many a test. The first start of a hub on an empty database has tests of its own, as have the migrations.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{
    database::{execute, query_text},
    server::{program, program_path},
};

/// Copies the database of SQLite to this folder of data, unless it has one.
pub fn copy_to(data: &Path) {
    let file = data.join("thingshub.db");
    if file.exists() {
        return;
    }
    let template = of_sqlite();
    fs::create_dir_all(data).unwrap();
    fs::copy(template, &file).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
}

/// Makes a database on the server of PostgreSQL that the URL names.
pub async fn create_database(url: &str, name: &str) {
    let template = format!("hub_template_{}", version());
    let count = format!("SELECT count(*)::text FROM pg_database WHERE datname = '{template}'");
    if query_text(url, &count).await == "0" {
        let _lock = lock();
        if query_text(url, &count).await == "0" {
            // Others see the name when the schema is there.
            let unfinished = format!("{template}_new");
            execute(url, &format!("DROP DATABASE IF EXISTS {unfinished}")).await;
            execute(url, &format!("CREATE DATABASE {unfinished}")).await;
            let (server, _) = url.rsplit_once('/').expect("the URL names a database");
            migrate(&["--database-url", &format!("{server}/{unfinished}")]);
            execute(
                url,
                &format!("ALTER DATABASE {unfinished} RENAME TO {template}"),
            )
            .await;
        }
    }
    execute(url, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
}

fn of_sqlite() -> PathBuf {
    let template = folder().join(format!("{}.db", version()));
    if !template.exists() {
        let _lock = lock();
        if !template.exists() {
            let data = tempfile::tempdir_in(folder()).unwrap();
            migrate(&["--data-dir", data.path().to_str().unwrap()]);
            fs::rename(data.path().join("thingshub.db"), &template).unwrap();
        }
    }
    template
}

fn migrate(arguments: &[&str]) {
    let mut command = program();
    let command = command.as_std_mut().arg("migrate").args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Name of the program under test and of its version.
fn version() -> String {
    let built = fs::metadata(program_path()).unwrap();
    format!(
        "{:x}_{:x}",
        built.mtime(),
        built.mtime_nsec() + built.size() as i64
    )
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("templates");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Waits until no other test makes a template, and keeps others from that.
fn lock() -> File {
    let lock = File::create(folder().join("lock")).unwrap();
    lock.lock().unwrap();
    lock
}
