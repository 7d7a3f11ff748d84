//! Folders on the hub's disk, below the operator's folder and in a folder of the tenant's own.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::libc::O_NOFOLLOW;
use serde::Deserialize;
use serde_json::Value;

use super::outlets::{Outlets, part_of};
use crate::{id::TenantId, private};

/// Name of the type.
pub const KIND: &str = "folder";

/// Settings, which are stored unencrypted.
#[derive(Deserialize)]
struct Settings {
    folder: String,
}

/// A folder.
pub struct Folder {
    /// The operator's folder.
    below: PathBuf,
    /// Names of the tenant's folder and of the target's folder in it.
    folders: [String; 2],
}

/// A file in the folder.
pub struct FolderFile {
    below: PathBuf,
    folders: [String; 2],
    writing: Option<Writing>,
}

/// A file that is being written.
struct Writing {
    file: Option<File>,
    part: PathBuf,
    path: PathBuf,
}

impl Folder {
    /// Reads the settings.
    pub fn open(outlets: &Outlets, tenant: TenantId, settings: &Value) -> Result<Self, String> {
        let settings = Settings::deserialize(settings).map_err(|error| error.to_string())?;
        let below = outlets.folder.clone();
        let below = below.ok_or_else(|| "the operator has not set export_folder".to_owned())?;
        // Folder names are validated to have no separator and no leading dot; checked again because stored
        // settings are not trusted.
        if settings.folder.contains('/') || settings.folder.starts_with('.') {
            return Err("the folder leads elsewhere".to_owned());
        }
        Ok(Self {
            below,
            folders: [format!("tenant-{}", tenant.0), settings.folder],
        })
    }

    /// Returns a file of the folder.
    pub fn file(&self) -> FolderFile {
        FolderFile {
            below: self.below.clone(),
            folders: self.folders.clone(),
            writing: None,
        }
    }
}

impl FolderFile {
    /// Returns the size of a file, if it exists.
    pub async fn find(&mut self, name: &str) -> Result<Option<u64>, String> {
        let path = self.folder().join(name);
        apart(move || match fs::symlink_metadata(path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Begins a file.
    pub async fn begin(&mut self, name: &str, attempt: i32) -> Result<(), String> {
        let (below, folders) = (self.below.clone(), self.folders.clone());
        let path = self.folder().join(name);
        let part = self.folder().join(part_of(name, attempt));
        let old = (1..attempt).map(|attempt| part_of(name, attempt));
        let old: Vec<PathBuf> = old.map(|name| self.folder().join(name)).collect();
        let made = part.clone();
        let file = apart(move || {
            make_folders(below, &folders)?;
            for old in old {
                remove(&old)?;
            }
            // A symbolic link could lead out of the folder.
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            options.mode(0o640).custom_flags(O_NOFOLLOW).open(&made)
        });
        self.writing = Some(Writing {
            file: Some(file.await?),
            part,
            path,
        });
        Ok(())
    }

    /// Adds bytes to the file.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        self.on_file(move |file| file.write_all(&bytes)).await
    }

    /// Returns when all bytes are on disk.
    pub async fn seal(&mut self) -> Result<(), String> {
        self.on_file(|file| file.sync_all()).await
    }

    /// Gives the file its final name.
    pub async fn publish(&mut self) -> Result<(), String> {
        let writing = self.writing.as_ref().ok_or_else(not_begun)?;
        let (part, path) = (writing.part.clone(), writing.path.clone());
        let folder = self.folder();
        apart(move || {
            if fs::symlink_metadata(&path).is_ok() {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            fs::rename(&part, &path)?;
            File::open(folder)?.sync_all()
        })
        .await?;
        self.writing = None;
        Ok(())
    }

    /// Removes a file.
    pub async fn remove(&mut self, name: &str) -> Result<(), String> {
        let path = self.folder().join(name);
        apart(move || remove(&path)).await
    }

    /// Removes what has been written of the file.
    pub async fn abandon(&mut self) -> Result<(), String> {
        match self.writing.take() {
            Some(writing) => apart(move || remove(&writing.part)).await,
            None => Ok(()),
        }
    }

    fn folder(&self) -> PathBuf {
        let [tenant, folder] = &self.folders;
        self.below.join(tenant).join(folder)
    }

    async fn on_file(
        &mut self,
        work: impl FnOnce(&mut File) -> io::Result<()> + Send + 'static,
    ) -> Result<(), String> {
        let writing = self.writing.as_mut().ok_or_else(not_begun)?;
        let mut file = writing.file.take().ok_or_else(not_begun)?;
        let file = apart(move || work(&mut file).map(|()| file)).await?;
        writing.file = Some(file);
        Ok(())
    }
}

fn not_begun() -> String {
    "the file has not been begun".to_owned()
}

fn make_folders(mut folder: PathBuf, folders: &[String]) -> io::Result<()> {
    for part in folders {
        let parent = folder.clone();
        folder.push(part);
        private::subfolder(&folder, &parent)?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Runs work on the disk on a thread for such work.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("the file cannot be written".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_appears_whole_and_links_are_not_followed() {
        let below = tempfile::tempdir().unwrap();
        let folder = Folder {
            below: below.path().to_owned(),
            folders: ["tenant-1".to_owned(), "erp".to_owned()],
        };
        let path = below.path().join("tenant-1/erp");
        let mut file = folder.file();
        assert_eq!(file.find("a.csv").await.unwrap(), None);
        file.begin("a.csv", 1).await.unwrap();
        file.write(b"abc".to_vec()).await.unwrap();
        // The hub is killed here.
        let mut file = folder.file();
        assert_eq!(file.find("a.csv").await.unwrap(), None);
        file.begin("a.csv", 2).await.unwrap();
        file.write(b"abcdef".to_vec()).await.unwrap();
        file.seal().await.unwrap();
        file.publish().await.unwrap();
        assert_eq!(file.find("a.csv").await.unwrap(), Some(6));
        let names = || {
            let names = fs::read_dir(&path).unwrap();
            names
                .map(|entry| entry.unwrap().file_name())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(), ["a.csv"]);
        file.begin("a.csv", 1).await.unwrap();
        assert!(file.publish().await.is_err());
        assert_eq!(fs::read(path.join("a.csv")).unwrap(), b"abcdef");

        let outside = below.path().join("outside");
        std::os::unix::fs::symlink(&outside, path.join(part_of("b.csv", 1))).unwrap();
        assert!(file.begin("b.csv", 1).await.is_err());
        assert!(!outside.exists());
    }
}
