//! A driver as one file: a tar archive, compressed by gzip, with a project folder for each version.
//!
//! | file in a folder | what it is |
//! |---|---|
//! | `.project` | author, name, metadata, tags and digest of the version, as JSON |
//! | `driver.js` | the script |
//! | `schema.json` | the schema, if there is one |
//! | `examples.json` | the examples, if there are any |
//!
//! An archive comes from an untrusted source, so it is read within limits and nothing of it is ever written
//! to disk: a path is only a name here.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
    path::{Component, Path},
};

use flate2::{Compression, GzBuilder, read::GzDecoder};
use tar::{Archive, Builder, EntryType, Header};

use crate::error::{Error, Reason, Result};

/// Maximum number of versions in an archive.
pub const VERSIONS_MAX: usize = 32;
/// Maximum number of files and folders in an archive.
const ENTRIES_MAX: usize = 256;
/// Maximum size of an uncompressed archive, in bytes.
const BYTES_MAX: u64 = 64 << 20;
/// Maximum size of a file, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Maximum number of characters of a path in an error.
const PATH_CHARS: usize = 100;

/// A folder of an archive, which holds one version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Folder {
    /// Name of the folder; empty if the files are at the top of the archive.
    pub name: String,
    /// Text of each file, by its name.
    pub files: BTreeMap<FileName, String>,
}

/// The files that a folder may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    Project,
    Script,
    Schema,
    Examples,
}

impl FileName {
    const ALL: [Self; 4] = [Self::Project, Self::Script, Self::Schema, Self::Examples];

    /// Returns the name of the file in the folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => ".project",
            Self::Script => "driver.js",
            Self::Schema => "schema.json",
            Self::Examples => "examples.json",
        }
    }
}

impl Folder {
    /// Returns the name of a file for errors.
    pub fn place(&self, file: FileName) -> String {
        match self.name.as_str() {
            "" => format!("archive: {}", file.as_str()),
            _ => format!("{self}/{}", file.as_str()),
        }
    }

    /// Returns the text of a mandatory file.
    pub fn required(&self, file: FileName) -> Result<&str> {
        let text = self.files.get(&file).map(String::as_str);
        text.ok_or_else(|| self.missing(file))
    }

    /// Returns the error for a file that the folder lacks.
    pub fn missing(&self, file: FileName) -> Error {
        Error::of_field(Reason::Required, &self.place(file), "is missing")
    }
}

impl fmt::Display for Folder {
    /// Writes the name of the folder for errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => f.write_str("archive"),
            name => write!(f, "archive: {}", shown(name)),
        }
    }
}

/// Packs folders into an archive. The same folders and time always give the same bytes.
pub fn pack(folders: &[Folder], modified_s: u64) -> Result<Vec<u8>> {
    let gzip = GzBuilder::new().write(Vec::new(), Compression::default());
    let mut archive = Builder::new(gzip);
    for folder in folders {
        for (file, text) in &folder.files {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o644);
            header.set_mtime(modified_s);
            header.set_size(text.len() as u64);
            let path = Path::new(&folder.name).join(file.as_str());
            archive
                .append_data(&mut header, path, text.as_bytes())
                .map_err(Error::internal)?;
        }
    }
    let gzip = archive.into_inner().map_err(Error::internal)?;
    gzip.finish().map_err(Error::internal)
}

/// Unpacks an archive within its limits.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Folder>> {
    let bounded = GzDecoder::new(bytes).take(BYTES_MAX + 1);
    let mut archive = Archive::new(bounded);
    let outcome = folders(&mut archive);
    let mut rest = archive.into_inner();
    // The rest after the last file is read as well, because gzip only compares the checksum at its end.
    let drained = io::copy(&mut rest, &mut io::sink());
    if rest.limit() == 0 {
        let rule = format!("must have at most {BYTES_MAX} bytes uncompressed");
        return Err(Error::of_field(Reason::TooLarge, "archive", rule));
    }
    let folders = outcome?;
    drained.map_err(|error| broken(&error))?;
    if folders.is_empty() {
        return Err(Error::field("archive", "must contain a driver"));
    }
    if folders.len() > VERSIONS_MAX {
        let rule = format!("must have at most {VERSIONS_MAX} versions");
        return Err(Error::field("archive", rule));
    }
    Ok(folders.into_values().collect())
}

fn folders(archive: &mut Archive<impl Read>) -> Result<BTreeMap<String, Folder>> {
    let mut folders: BTreeMap<String, Folder> = BTreeMap::new();
    for (number, entry) in archive
        .entries()
        .map_err(|error| broken(&error))?
        .enumerate()
    {
        if number >= ENTRIES_MAX {
            let rule = format!("must have at most {ENTRIES_MAX} files and folders");
            return Err(Error::field("archive", rule));
        }
        let mut entry = entry.map_err(|error| broken(&error))?;
        let path = entry.path_bytes().into_owned();
        let path = String::from_utf8(path).map_err(|_| {
            Error::of_field(Reason::Malformed, "archive", "must have paths in UTF-8")
        })?;
        let place = format!("archive: {}", shown(&path));
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory => {
                parts(&place, &path)?;
                continue;
            }
            // Metadata that some archivers write for the archive as a whole.
            EntryType::XGlobalHeader => continue,
            _ => {
                let rule = "must be a file or a folder, not a link or anything else";
                return Err(Error::field(&place, rule));
            }
        }
        let (name, file) = named(&place, &path)?;
        let mut text = Vec::new();
        (&mut entry)
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(|error| broken(&error))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            let rule = format!("must have at most {FILE_BYTES_MAX} bytes");
            return Err(Error::of_field(Reason::TooLarge, &place, rule));
        }
        let text = String::from_utf8(text)
            .map_err(|_| Error::of_field(Reason::Malformed, &place, "must be UTF-8"))?;
        let folder = folders.entry(name.clone()).or_default();
        folder.name = name;
        if folder.files.insert(file, text).is_some() {
            return Err(Error::field(&place, "must not occur twice"));
        }
    }
    Ok(folders)
}

/// Splits a path into folder and file.
fn named(place: &str, path: &str) -> Result<(String, FileName)> {
    let parts = parts(place, path)?;
    let (folder, file) = match parts.as_slice() {
        [file] => ("", *file),
        [folder, file] => (*folder, *file),
        _ => {
            let rule = "must be at the top of the archive, or in a folder at the top";
            return Err(Error::field(place, rule));
        }
    };
    let known = FileName::ALL
        .into_iter()
        .find(|known| known.as_str() == file);
    let known = known.ok_or_else(|| {
        let names = FileName::ALL.map(FileName::as_str).join(", ");
        Error::field(place, format!("must be one of {names}"))
    })?;
    Ok((folder.to_owned(), known))
}

/// Splits a path into its components.
fn parts<'a>(place: &str, path: &'a str) -> Result<Vec<&'a str>> {
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::CurDir => {}
            _ => {
                let rule = "must be a relative path that does not lead out of the archive";
                return Err(Error::field(place, rule));
            }
        }
    }
    Ok(parts)
}

fn broken(error: &io::Error) -> Error {
    Error::of_field(
        Reason::Malformed,
        "archive",
        format!("must be a tar archive, compressed with gzip: {error}"),
    )
}

/// Returns a path in a form that can be shown: shortened, without control characters.
fn shown(path: &str) -> String {
    let visible = path.chars().filter(|c| !c.is_control());
    visible.take(PATH_CHARS).collect()
}
