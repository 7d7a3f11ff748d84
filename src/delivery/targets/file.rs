//! File targets: each message is a line in the file of its day, in a folder below the operator's
//! folder.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::libc::O_NOFOLLOW;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::sync::Semaphore;

use super::answer::Answer;
use crate::{
    delivery::payload::Message,
    error::{Error, Result},
    id::TenantId,
    private,
    store::deliveries::Delivery,
};

/// Name of the type.
pub const KIND: &str = "file";
/// Maximum number of lines written concurrently, for all targets.
pub const AT_ONCE: usize = 16;
/// Maximum number of lines written concurrently for one target, so that a hanging disk or a large
/// backlog cannot block all others.
const AT_ONCE_EACH: usize = 4;

/// Settings, which are stored unencrypted.
#[derive(Deserialize)]
struct Settings {
    folder: String,
}

/// A folder with a file for each day.
pub struct FileTarget {
    /// Names of the tenant's folder and of the target's folder in it.
    folder: Vec<String>,
    turns: Arc<Semaphore>,
}

impl FileTarget {
    /// Reads the settings.
    pub fn open(settings: &Value, tenant: TenantId) -> Result<Self> {
        let settings = Settings::deserialize(settings).map_err(Error::internal)?;
        // Folder names are validated to have no separator and no leading dot; checked again because stored
        // settings are not trusted.
        if settings.folder.contains('/') || settings.folder.starts_with('.') {
            return Err(Error::internal("a folder that leads elsewhere"));
        }
        Ok(Self {
            folder: vec![format!("tenant-{}", tenant.0), settings.folder],
            turns: Arc::new(Semaphore::new(AT_ONCE_EACH)),
        })
    }

    /// Writes one delivery, in its turn; it is on disk when this returns.
    pub async fn send(
        &self,
        below: Option<&Path>,
        writing: &Arc<Semaphore>,
        delivery: &Delivery,
        message: &Message,
    ) -> Answer {
        let Some(below) = below else {
            return Answer::failed("the operator has not set file_targets_dir");
        };
        let line = match serde_json::from_str::<&RawValue>(&message.body) {
            // JSON has line breaks only between tokens; in strings they are escaped.
            Ok(json) => json.get().replace(['\n', '\r'], " ") + "\n",
            Err(_) => {
                return Answer::hopeless("the message is not JSON, which the type file requires");
            }
        };
        let name = format!("{}.ndjson", delivery.created_at.format("%Y-%m-%d"));
        let (below, folders) = (below.to_owned(), self.folder.clone());
        let turn = self.turns.clone().acquire_owned().await;
        let place = writing.clone().acquire_owned().await;
        let written = tokio::task::spawn_blocking(move || {
            // Held until the line is on disk, because the attempt may time out before.
            let _kept = (turn, place);
            append(below, &folders, &name, line.as_bytes())
        });
        match written.await {
            Ok(Ok(())) => Answer::default(),
            Ok(Err(error)) => Answer::failed(format!("the file cannot be written: {error}")),
            Err(_) => Answer::failed("the file cannot be written"),
        }
    }
}

fn append(mut folder: PathBuf, folders: &[String], name: &str, line: &[u8]) -> io::Result<()> {
    for part in folders {
        let parent = folder.clone();
        folder.push(part);
        private::subfolder(&folder, &parent)?;
    }
    let path = folder.join(name);
    let is_new = !path.exists();
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        // A symbolic link could lead out of the folder.
        .custom_flags(O_NOFOLLOW)
        .open(&path)?;
    let mut text = Vec::with_capacity(line.len() + 1);
    if is_broken_off(&mut file)? {
        text.push(b'\n');
    }
    text.extend_from_slice(line);
    file.write_all(&text)?;
    file.sync_data()?;
    if is_new {
        File::open(&folder)?.sync_all()?;
    }
    Ok(())
}

/// True if the last line is incomplete because the machine stopped while it was written.
fn is_broken_off(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_stay_apart_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let folders = ["tenant-1".to_owned(), "erp".to_owned()];
        let write = |name: &str, line: &[u8]| append(folder.path().into(), &folders, name, line);
        write("day", b"{\"a\":1}\n").unwrap();
        let path = folder.path().join("tenant-1/erp/day");
        fs::write(&path, b"{\"a\":1}\n{\"brok").unwrap();
        write("day", b"{\"a\":2}\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"brok\n{\"a\":2}\n");

        let outside = folder.path().join("outside");
        std::os::unix::fs::symlink(&outside, folder.path().join("tenant-1/erp/link")).unwrap();
        assert!(write("link", b"{}\n").is_err());
        assert!(!outside.exists());
    }
}
