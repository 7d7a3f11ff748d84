//! Targets of scheduled exports.
//!
//! A file is sent under a name of its own and gets its final name when it is whole: whoever reads the target never sees a
//! part of a file under the final name.

mod folder;
mod outlets;
mod s3;
mod sftp;

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::timeout;

use crate::{
    id::TenantId,
    secret::{Credentials, Place, Redactor},
};

use folder::{Folder, FolderFile};
pub use outlets::Outlets;
use s3::{S3, S3File};
use sftp::{Sftp, SftpFile};

/// Maximum length of an error, in characters.
const ERROR_MAX: usize = 500;

/// Target of an export.
pub struct Target {
    form: Form,
    words: Words,
}

/// Type of a target.
enum Form {
    /// Folder on the hub's disk.
    Folder(Folder),
    /// Folder of an SFTP server.
    Sftp(Sftp),
    /// Bucket of S3-compatible storage.
    S3(S3),
}

/// Connection with a target.
pub struct Session {
    link: Link,
    words: Words,
    timeout: Duration,
}

/// Writes errors without the secrets that the target was sent.
#[derive(Clone)]
struct Words(Arc<Redactor>);

impl Words {
    /// Returns an error of the target. Secrets are replaced before it is shortened, because a part of one would not be
    /// recognised.
    fn of(&self, error: &str) -> String {
        self.0.redact(error).chars().take(ERROR_MAX).collect()
    }
}

enum Link {
    Folder(FolderFile),
    Sftp(Box<SftpFile>),
    S3(Box<S3File>),
}

/// Returns the storage location of the sealed secrets of an export.
pub fn place(tenant: TenantId, id: impl std::fmt::Display) -> Place {
    Place::new("scheduled_export", tenant, id)
}

/// Returns the host that a target names, with the path of its member.
pub fn hosts(kind: &str, settings: &Value) -> Vec<(String, String)> {
    let text = |name: &str| settings[name].as_str().map(ToOwned::to_owned);
    let (member, host) = match kind {
        "sftp" => ("host", text("host")),
        "s3" => {
            let endpoint = text("endpoint");
            let host = endpoint.and_then(|endpoint| crate::outgoing::host_of(&endpoint));
            ("endpoint", host)
        }
        _ => return Vec::new(),
    };
    let host = host.map(|host| (format!("target.{member}"), host));
    host.into_iter().collect()
}

impl Target {
    /// Reads the settings of a target. The error is a text for the log of runs.
    pub fn open(
        outlets: &Outlets,
        tenant: TenantId,
        kind: &str,
        settings: &Value,
        credentials: &Credentials,
    ) -> Result<Self, String> {
        let form = match kind {
            folder::KIND => Form::Folder(Folder::open(outlets, tenant, settings)?),
            sftp::KIND => Form::Sftp(Sftp::open(outlets, tenant, settings, credentials)?),
            s3::KIND => Form::S3(S3::open(tenant, settings, credentials)?),
            other => return Err(format!("there is no target of the type {other}")),
        };
        let words = Words(Arc::new(Redactor::new(credentials.values())));
        Ok(Self { form, words })
    }

    /// Connects to the target.
    pub async fn connect(&self, outlets: &Outlets) -> Result<Session, String> {
        let link = self.form.connect(outlets).await;
        Ok(Session {
            link: link.map_err(|error| self.words.of(&error))?,
            words: self.words.clone(),
            timeout: outlets.timeout,
        })
    }

    /// Returns the fingerprint of the key that the server has shown.
    pub fn host_key(&self) -> Option<String> {
        match &self.form {
            Form::Sftp(sftp) => sftp.host_key(),
            Form::Folder(_) | Form::S3(_) => None,
        }
    }
}

impl Form {
    async fn connect(&self, outlets: &Outlets) -> Result<Link, String> {
        Ok(match self {
            Self::Folder(folder) => Link::Folder(folder.file()),
            Self::Sftp(sftp) => Link::Sftp(Box::new(sftp.connect(outlets).await?)),
            Self::S3(bucket) => Link::S3(Box::new(bucket.file(outlets)?)),
        })
    }
}

/// Runs a step of each type of link within the time for a step.
macro_rules! step {
    ($session:expr, $what:expr, $file:ident => $step:expr) => {{
        let within = $session.timeout;
        let step = async {
            match &mut $session.link {
                Link::Folder($file) => $step.await,
                Link::Sftp($file) => $step.await,
                Link::S3($file) => $step.await,
            }
        };
        match timeout(within, step).await {
            Ok(done) => done.map_err(|error: String| {
                let error = $session.words.of(&error);
                format!("{}: {error}", $what)
            }),
            Err(_) => Err(format!(
                "{}: no answer within {} seconds",
                $what,
                within.as_secs()
            )),
        }
    }};
}

impl Session {
    /// Returns the size of a file of the target, if it exists.
    pub async fn find(&mut self, name: &str) -> Result<Option<u64>, String> {
        step!(self, "looking for the file", file => file.find(name))
    }

    /// Begins a file. `attempt` distinguishes the attempts to send it, whose remains are removed.
    pub async fn begin(&mut self, name: &str, attempt: i32) -> Result<(), String> {
        step!(self, "creating the file", file => file.begin(name, attempt))
    }

    /// Adds bytes to the file.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        step!(self, "writing the file", file => file.write(bytes))
    }

    /// Returns when all bytes of the file are stored at the target.
    pub async fn seal(&mut self) -> Result<(), String> {
        step!(self, "completing the file", file => file.seal())
    }

    /// Gives the file its final name.
    pub async fn publish(&mut self) -> Result<(), String> {
        step!(self, "naming the file", file => file.publish())
    }

    /// Removes a file that has its final name.
    pub async fn remove(&mut self, name: &str) -> Result<(), String> {
        step!(self, "removing the file", file => file.remove(name))
    }

    /// Removes what has been sent of the file, as far as possible.
    pub async fn abandon(&mut self) {
        let abandoned: Result<(), String> =
            step!(self, "removing a part of the file", file => file.abandon());
        if let Err(error) = abandoned {
            tracing::debug!(error, "the remains of a file stay at the target");
        }
    }
}
