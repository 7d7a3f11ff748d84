//! Targets of scheduled exports, one file per type.

use poem_openapi::Union;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{
    api::{
        http::union,
        integrations::targets::target_type::{Provisioned, TargetType},
    },
    error::{Error, Result},
    secret::SealedCredentials,
};

mod folder;
mod s3;
mod sftp;

use folder::{FolderTarget, FolderTargetView};
use s3::{S3Target, S3TargetView};
use sftp::{SftpTarget, SftpTargetView};

/// Target that receives the files of a scheduled export.
#[derive(Union)]
#[oai(rename = "ExportTarget", discriminator_name = "type", one_of = true)]
pub enum ExportTarget {
    #[oai(mapping = "sftp")]
    Sftp(SftpTarget),
    #[oai(mapping = "s3")]
    S3(S3Target),
    #[oai(mapping = "folder")]
    Folder(FolderTarget),
}

/// Target that receives the files of a scheduled export.
#[derive(Union, Serialize)]
#[oai(
    rename = "ExportTargetView",
    discriminator_name = "type",
    one_of = true
)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ExportTargetView {
    #[oai(mapping = "sftp")]
    Sftp(SftpTargetView),
    #[oai(mapping = "s3")]
    S3(S3TargetView),
    #[oai(mapping = "folder")]
    Folder(FolderTargetView),
}

impl<'de> Deserialize<'de> for ExportTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tags = [SftpTarget::KIND, S3Target::KIND, FolderTarget::KIND];
        union::read(deserializer, &tags, |tag, members| match tag {
            SftpTarget::KIND => Some(members.read().map(Self::Sftp)),
            S3Target::KIND => Some(members.read().map(Self::S3)),
            FolderTarget::KIND => Some(members.read().map(Self::Folder)),
            _ => None,
        })
    }
}

impl ExportTarget {
    /// Converts the target to its stored form.
    pub fn provisioned(self) -> Result<Provisioned> {
        match self {
            Self::Sftp(target) => target.provisioned(),
            Self::S3(target) => target.provisioned(),
            Self::Folder(target) => target.provisioned(),
        }
    }
}

impl ExportTargetView {
    /// Returns the view of a stored target; flags show which secrets are stored.
    pub fn new(kind: &str, settings: Value, secrets: &SealedCredentials) -> Result<Self> {
        match kind {
            SftpTarget::KIND => Ok(Self::Sftp(SftpTargetView::new(settings, secrets)?)),
            S3Target::KIND => Ok(Self::S3(S3TargetView::new(settings, secrets)?)),
            FolderTarget::KIND => Ok(Self::Folder(FolderTargetView::new(settings)?)),
            other => Err(Error::internal(format!("no target of the type {other}"))),
        }
    }
}
