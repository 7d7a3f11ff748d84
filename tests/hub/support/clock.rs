//! Clocks of hubs that can be set: their wall clock is libfaketime's.

use std::path::PathBuf;

use tempfile::NamedTempFile;

use super::{database::Database, server::Hub};

pub const HOUR: i64 = 3600;

/// The clock of a hub, so many seconds beside this machine's. Hubs lose it when it is dropped.
pub struct Clock(NamedTempFile);

impl Clock {
    pub fn ahead(seconds: i64) -> Self {
        let clock = Self(NamedTempFile::new().unwrap());
        clock.set(seconds);
        clock
    }

    pub fn set(&self, seconds: i64) {
        // A reader finds the former or the new file.
        let new = self.0.path().with_extension("new");
        std::fs::write(&new, format!("{seconds:+}")).unwrap();
        std::fs::rename(new, self.0.path()).unwrap();
    }

    /// Environment by which a program follows this clock. Its monotonic clock is this machine's.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        let file = self.0.path().to_str().unwrap();
        [
            ("LD_PRELOAD", library().to_str().unwrap().to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", file.to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// Starts a hub that goes by it.
    pub async fn hub(&self, database: Database, flags: &[&str]) -> Hub {
        let environment = self.environment();
        let environment = environment
            .each_ref()
            .map(|(name, value)| (*name, &**value));
        Hub::start_in(database, flags, &environment).await
    }
}

/// Debian's libfaketime; `scripts/need faketime` installs it.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    folders
        .map(|folder| folder.unwrap().path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .expect("libfaketime is there: run scripts/need faketime")
}
