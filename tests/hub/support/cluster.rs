//! A PostgreSQL for one test alone, which stops it or spoils it for all that is in it.

use std::process::Command;

use tempfile::TempDir;

use crate::{repository, support::database::of_postgres};

/// A PostgreSQL that this test alone uses; gone with its handle.
pub struct Cluster {
    folder: TempDir,
}

impl Cluster {
    /// Starts one, if there is a PostgreSQL.
    pub fn start() -> Option<Self> {
        of_postgres("THINGSHUB_TEST_POSTGRES_CONTROL")?;
        // Its server runs as another user, who must reach the folder.
        let folder = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let cluster = Self { folder };
        cluster.control("create");
        Some(cluster)
    }

    /// A superuser's URL of the maintenance database.
    pub fn url(&self) -> String {
        self.control("url")
    }

    /// Has `scripts/postgres` do this; answers what it prints.
    pub fn control(&self, action: &str) -> String {
        let output = Command::new(repository("scripts/postgres"))
            .arg(action)
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{action}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = Command::new(repository("scripts/postgres"))
                .arg("remove")
                .arg(self.folder.path())
                .output();
        } else {
            self.control("remove");
        }
    }
}
