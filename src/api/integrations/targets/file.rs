//! Target type `file`.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::target_type::{TargetType, read};
use crate::{error::Result, secret::Claim, text::FolderName};

/// Files on the hub's own disk: each message is a line of JSON in the file of the day on which it was
/// queued, `<file_targets_dir>/tenant-<id>/<folder>/2026-11-23.ndjson` (UTC). A line is on disk before its
/// delivery counts. Only where the operator has set `file_targets_dir`
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTarget {
    /// The folder, below the tenant's; it is made when the first line is written
    folder: FolderName,
}

/// Files on the hub's own disk
#[derive(Object, Serialize, Deserialize)]
pub struct FileTargetView {
    /// The folder, below the tenant's
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
