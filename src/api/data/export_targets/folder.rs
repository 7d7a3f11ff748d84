//! Target type `folder`.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    api::integrations::targets::target_type::{TargetType, read},
    error::Result,
    secret::Claim,
    text::FolderName,
};

/// Folder on the hub's disk: `<export_folder>/tenant-<id>/<folder>`. Requires the operator's setting `export_folder`.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderTarget {
    /// Name of the folder inside the tenant's folder: letters, digits, dashes and underscores, with a letter or digit
    /// at both ends. The hub creates the folder with the first file.
    folder: FolderName,
}

/// Folder on the hub's disk.
#[derive(Object, Serialize, Deserialize)]
pub struct FolderTargetView {
    /// Name of the folder inside the tenant's folder.
    folder: String,
}

impl TargetType for FolderTarget {
    const KIND: &'static str = "folder";

    fn take_claims(&mut self) -> Vec<Claim> {
        Vec::new()
    }
}

impl FolderTargetView {
    pub fn new(settings: Value) -> Result<Self> {
        read(settings)
    }
}
