//! File of an SQLite database: readable by the hub's user alone, and used by one hub at a time.
//!
//! Two hubs on one file would each trust their own caches, so one would still accept what the other has revoked. A
//! separate file beside the database is locked, because SQLite's own locks end when a process closes any handle on
//! the database. The kernel releases the lock when the process ends, even after a crash.

use std::{
    fs::{self, File, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use sea_orm::sqlx::sqlite::SqliteConnectOptions;

use crate::{config::Config, private};

/// Exclusive use of a database, held until this value is dropped.
#[must_use]
pub struct Lock {
    _file: Option<File>,
}

impl Lock {
    /// Locks the database for this process. PostgreSQL is shared by any number of hubs and is not locked. Errors are
    /// one line that names the setting.
    pub fn take(config: &Config) -> Result<Self, String> {
        let setting = match config.database_url {
            Some(_) => "setting database_url",
            None => "setting data_dir",
        };
        Self::take_at(&config.database_url(), setting)
    }

    /// Locks the database at this URL. Errors begin with its origin.
    pub fn take_at(url: &str, origin: &str) -> Result<Self, String> {
        let Some(database) = path(url) else {
            return Ok(Self { _file: None });
        };
        // Resolves links, so that all paths to a database use the same lock.
        let mut lock = fs::canonicalize(&database)
            .unwrap_or_else(|_| database.clone())
            .into_os_string();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let broken = |error: std::io::Error| format!("{origin}: {}: {error}", lock.display());
        let mut file = private::open(&lock).map_err(broken)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&file).take(20).read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => String::new(),
                    process => format!(" (process {process})"),
                };
                return Err(format!(
                    "{origin}: another hub{holder} uses the database {}: stop it first",
                    database.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(broken(error)),
        }
        // Informs the operator of a second hub; nothing depends on it.
        let _ = file.set_len(0);
        let _ = file.rewind();
        let _ = write!(file, "{}", std::process::id());
        Ok(Self { _file: Some(file) })
    }
}

/// Returns the file of a database; `None` if it is not in a file.
pub fn path(url: &str) -> Option<PathBuf> {
    let options: SqliteConnectOptions = url.starts_with("sqlite:").then(|| url.parse().ok())??;
    let path = options.get_filename();
    let text = path.to_string_lossy();
    let is_in_memory = text == ":memory:" || text.starts_with("file:");
    (!is_in_memory).then(|| path.to_owned())
}

/// Creates the file if it is missing. SQLite gives the files beside it the same permissions.
pub fn prepare(database: &Path) -> std::io::Result<()> {
    private::open(database)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = database.as_os_str().to_owned();
        file.push(suffix);
        private::tighten(Path::new(&file));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_has_a_file_or_none() {
        for (url, file) in [
            ("sqlite://data/hub.db", Some("data/hub.db")),
            ("sqlite:///var/hub.db?mode=rwc", Some("/var/hub.db")),
            ("sqlite:hub.db", Some("hub.db")),
            ("sqlite::memory:", None),
            ("postgres://u@h/d", None),
        ] {
            assert_eq!(path(url), file.map(PathBuf::from), "{url}");
        }
    }
}
