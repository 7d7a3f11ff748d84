//! Disks that can be filled and freed under a running hub: a limit on the size of its files, which
//! needs no rights, and small file systems, where this process may mount some.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use rlimit::{INFINITY, Resource, prlimit};
use tempfile::TempDir;

use crate::support::{
    cluster::Cluster,
    database::{Database, execute, query_text},
    server::Hub,
};

/// Files get no larger than the log and so much more: what SQLite writes gets larger soon.
const LIMIT_BEYOND_LOG: u64 = 64 * 1024;

/// The ways in which a disk gets full.
pub enum Disk {
    /// The hub's own files have a largest size.
    Limit,
    /// The hub's data, or a PostgreSQL's tablespace, is on a small file system.
    Small(Small),
}

impl Disk {
    /// Fills it, but for so many bytes.
    pub fn fill(&self, hub: &Hub, rest: u64) {
        match self {
            Self::Limit => limit(hub, hub.log().len() as u64 + LIMIT_BEYOND_LOG + rest),
            Self::Small(small) => small.fill(rest),
        }
    }

    /// Lets it take writes again.
    pub fn free(&self, hub: &Hub) {
        match self {
            Self::Limit => limit(hub, INFINITY),
            Self::Small(small) => std::fs::remove_file(small.filler()).unwrap(),
        }
    }
}

fn limit(hub: &Hub, size: u64) {
    prlimit(hub.pid(), Resource::FSIZE, Some((size, INFINITY)), None).unwrap();
}

/// A file system in memory; gone with its handle.
pub struct Small {
    folder: TempDir,
}

impl Small {
    /// Mounts a disk of this size; `None`, with a message, if mounting is not allowed.
    pub fn mount(mebibytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(folder.path())
            .output();
        match output {
            Ok(output) if output.status.success() => Some(Self { folder }),
            refused => {
                println!("no file system can be mounted here ({refused:?}): not run");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    fn fill(&self, rest: u64) {
        let mut filler = File::create(self.filler()).unwrap();
        let mut size = 0;
        while let Ok(written) = filler.write(&[b'x'; 4096]) {
            size += written as u64;
        }
        filler.set_len(size.saturating_sub(rest)).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: what still has a file open there is about to end.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}

/// Runs the test on a PostgreSQL database that is on a small file system of its own, if there is a
/// PostgreSQL and one can be mounted. Of a full disk all databases of a server suffer: there are no
/// checkpoints.
pub async fn on_small_postgres<F>(mebibytes: u32, test: impl FnOnce(Database, Arc<Disk>) -> F)
where
    F: Future<Output = ()>,
{
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let Some(small) = Small::mount(mebibytes) else {
        return;
    };
    let url = cluster.url();
    let folder = small.path().join("tablespace");
    std::fs::create_dir(&folder).unwrap();
    // The server's own user.
    let data = query_text(&url, "SHOW data_directory").await;
    let owner = std::fs::metadata(data).unwrap();
    for path in [small.path(), &folder] {
        chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let location = folder.display();
    let space = format!("CREATE TABLESPACE small LOCATION '{location}'");
    execute(&url, &space).await;
    execute(&url, "CREATE DATABASE small TABLESPACE small").await;
    let (server, _) = url.rsplit_once('/').expect("the URL names a database");
    let database = Database::Postgres(format!("{server}/small"));
    // The server needs its disk until it ends.
    let disk = Arc::new(Disk::Small(small));
    test(database, disk.clone()).await;
    drop(cluster);
}
