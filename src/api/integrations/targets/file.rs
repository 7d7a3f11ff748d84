//! Target type `file`.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::target_type::{TargetType, read};
use crate::{error::Result, secret::Claim, text::FolderName};

/// Files on the hub's disk. Each message becomes a line of JSON in the file of the day (UTC) on which it was queued:
/// `<file_targets_dir>/tenant-<id>/<folder>/2026-11-23.ndjson`. A delivery counts as delivered when its line is on
/// disk. Requires the operator's setting `file_targets_dir`.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTarget {
    /// Name of the folder inside the tenant's folder: letters, digits, dashes and underscores, with a letter or digit
    /// at both ends. The hub creates the folder with the first line.
    folder: FolderName,
}

/// Files on the hub's disk.
#[derive(Object, Serialize, Deserialize)]
pub struct FileTargetView {
    /// Name of the folder inside the tenant's folder.
    folder: String,
}

impl TargetType for FileTarget {
    const KIND: &'static str = "file";

    fn take_claims(&mut self) -> Vec<Claim> {
        Vec::new()
    }
}

impl FileTargetView {
    pub fn new(settings: Value) -> Result<Self> {
        read(settings)
    }
}
