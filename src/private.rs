//! Files and folders that only the hub's user can access, whatever the umask.
//!
//! Files that a command creates as root in a folder of the hub's user are given to that user, because a hub
//! that cannot read its own key or lock does not start.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;
/// Permission bits of the group and of others.
const OTHERS: u32 = 0o077;

/// Creates a folder and its parents if it is missing.
pub fn folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER)
        .create(path)?;
    let made = File::open(path)?;
    made.set_permissions(Permissions::from_mode(FOLDER))?;
    give(&made, &parent(path))
}

/// Creates a folder in another one, unless it exists. Refuses anything else in its place, such as a link.
pub fn subfolder(folder: &Path, parent: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o750).create(folder) {
        Ok(()) => File::open(parent)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(folder)?.is_dir() {
                Ok(())
            } else {
                Err(io::Error::other(
                    "there is something else in the folder's place",
                ))
            }
        }
        Err(error) => Err(error),
    }
}

/// Opens a file for reading and writing, and creates it if it is missing.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE);
    match options.clone().create_new(true).open(path) {
        Ok(made) => {
            made.set_permissions(Permissions::from_mode(FILE))?;
            give(&made, &parent(path))?;
            Ok(made)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// Creates a file with this content unless it exists; the content appears as a whole. Returns true if it was
/// created.
pub fn create(path: &Path, content: &[u8]) -> io::Result<bool> {
    let folder = parent(path);
    let made = beside(&folder, content)?;
    give(made.as_file(), &folder)?;
    match made.persist_noclobber(path) {
        Ok(_) => File::open(folder)?.sync_all().map(|()| true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// Creates a temporary file beside a file that is yet to be; it is removed unless [`settle`] names it.
pub fn partial(path: &Path) -> io::Result<NamedTempFile> {
    let folder = parent(path);
    let made = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(&folder)?;
    made.as_file()
        .set_permissions(Permissions::from_mode(FILE))?;
    give(made.as_file(), &folder)?;
    Ok(made)
}

/// Gives a complete temporary file its name, durably. An existing file is an error unless it is replaced.
pub fn settle(made: NamedTempFile, path: &Path, replaces: bool) -> io::Result<()> {
    made.as_file().sync_all()?;
    let settled = match replaces {
        true => made.persist(path),
        false => made.persist_noclobber(path),
    };
    settled.map_err(|error| error.error)?;
    File::open(parent(path))?.sync_all()
}

/// Replaces the content of a file and keeps its owner and mode, or creates the file. The content changes as
/// a whole.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // Replaces the target of a symbolic link, not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = parent(&path);
    let made = beside(&folder, content)?;
    match fs::metadata(&path) {
        Ok(before) => keep_rights(made.as_file(), &before, &folder)?,
        Err(_) => give(made.as_file(), &folder)?,
    }
    made.persist(&path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Removes the permissions of group and others from a file that exists already, if possible.
pub fn tighten(path: &Path) {
    let Ok(found) = fs::metadata(path) else {
        return;
    };
    if found.mode() & OTHERS == 0 {
        return;
    }
    let mode = Permissions::from_mode(found.mode() & 0o7777 & !OTHERS);
    match fs::set_permissions(path, mode) {
        Ok(()) => tracing::info!("{} is for the hub's user alone now", path.display()),
        Err(error) => warn_open(path, &error.to_string()),
    }
}

/// Does the same for a folder, unless it also holds files of others, who may need the access.
pub fn tighten_folder(path: &Path, is_ours: impl Fn(&str) -> bool) {
    let is_ours = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(&is_ours))
    };
    match fs::read_dir(path).map(|mut entries| entries.all(is_ours)) {
        Ok(true) => tighten(path),
        _ => {
            let is_open = |found: Metadata| found.mode() & OTHERS != 0;
            if fs::metadata(path).is_ok_and(is_open) {
                warn_open(path, "it holds files that are not the hub's");
            }
        }
    }
}

fn warn_open(path: &Path, why: &str) {
    let path = path.display();
    tracing::warn!("{path} is open to others ({why}): chmod go-rwx {path}");
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Creates a temporary file with this content in the folder; it is removed unless it is persisted.
fn beside(folder: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let mut made = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?;
    made.as_file()
        .set_permissions(Permissions::from_mode(FILE))?;
    made.write_all(content)?;
    made.as_file().sync_all()?;
    Ok(made)
}

/// Gives a file that root has created to the owner of its folder.
fn give(made: &File, folder: &Path) -> io::Result<()> {
    let (made_by, owner) = (made.metadata()?.uid(), fs::metadata(folder)?);
    if made_by != 0 || owner.uid() == 0 {
        return Ok(());
    }
    fchown(made, Some(owner.uid()), Some(owner.gid()))
}

fn keep_rights(made: &File, before: &Metadata, folder: &Path) -> io::Result<()> {
    // A file that only root can read in another user's folder comes from an earlier mistake: the hub cannot
    // read it.
    if before.uid() == 0 && before.mode() & OTHERS == 0 {
        return give(made, folder);
    }
    let now = made.metadata()?;
    if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
        fchown(made, Some(before.uid()), Some(before.gid())).map_err(|error| {
            let text = format!("its owner and group cannot be kept: {error}");
            io::Error::new(error.kind(), text)
        })?;
    }
    made.set_permissions(Permissions::from_mode(before.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        super::folder(&below).unwrap();
        let file = below.join("f");
        assert!(create(&file, b"1").unwrap());
        assert!(!create(&file, b"2").unwrap());
        assert_eq!(fs::read(&file).unwrap(), b"1");
        open(&below.join("g")).unwrap();
        assert_eq!(
            (mode(&below), mode(&file), mode(&below.join("g"))),
            (0o700, 0o600, 0o600)
        );
    }

    #[test]
    fn what_is_replaced_keeps_its_mode_and_the_link_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("f"), folder.path().join("l"));
        fs::write(&file, "1").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"2").unwrap();
        assert_eq!(
            (mode(&file), fs::read(&file).unwrap()),
            (0o640, b"2".into())
        );
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_with_files_of_others_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let is_ours = |name: &str| name == "ours";
        for (name, expected) in [("ours", 0o700), ("theirs", 0o755)] {
            fs::write(path.join(name), "").unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
            tighten_folder(path, is_ours);
            assert_eq!(mode(path), expected, "{name}");
        }
    }
}
