//! Folders of SFTP servers.

use serde::Deserialize;
use serde_json::Value;

use super::outlets::{Outlets, part_of};
use crate::{
    id::TenantId,
    secret::Credentials,
    sftp::{self, Login, SeenKey, Session},
};

/// Name of the type.
pub const KIND: &str = "sftp";
/// Port of SSH.
pub const PORT: u16 = 22;

/// Number of earlier attempts whose remains are removed.
const OLD_PARTS: i32 = 10;

/// Settings, which are stored unencrypted.
#[derive(Deserialize)]
struct Settings {
    host: String,
    port: Option<u16>,
    username: String,
    host_key: Option<String>,
    folder: Option<String>,
}

/// A folder of a server.
pub struct Sftp {
    settings: sftp::Settings,
    folder: String,
    tenant: TenantId,
    seen: SeenKey,
}

/// A file in the folder.
pub struct SftpFile {
    session: Session,
    folder: String,
    /// Paths of the file while it is sent, and afterwards.
    paths: Option<(String, String)>,
}

impl Sftp {
    /// Reads the settings.
    pub fn open(
        outlets: &Outlets,
        tenant: TenantId,
        settings: &Value,
        credentials: &Credentials,
    ) -> Result<Self, String> {
        let settings = Settings::deserialize(settings).map_err(|error| error.to_string())?;
        let login = match (credentials.get("password"), credentials.get("private_key")) {
            (_, Some(key)) => Login::key(key).map_err(|rule| format!("private_key: {rule}"))?,
            (Some(password), None) => Login::Password(password.to_owned()),
            (None, None) => return Err("the target has no password and no private key".to_owned()),
        };
        Ok(Self {
            settings: sftp::Settings {
                host: settings.host,
                port: settings.port.unwrap_or(PORT),
                username: settings.username,
                login,
                host_key: settings.host_key,
                timeout: outlets.timeout,
            },
            folder: settings.folder.unwrap_or_default(),
            tenant,
            seen: SeenKey::default(),
        })
    }

    /// Connects to the server.
    pub async fn connect(&self, outlets: &Outlets) -> Result<SftpFile, String> {
        let guard = outlets.guard.of(self.tenant.0);
        Ok(SftpFile {
            session: Session::open(&guard, &self.settings, &self.seen).await?,
            folder: self.folder.clone(),
            paths: None,
        })
    }

    /// Returns the fingerprint of the key that the server has shown.
    pub fn host_key(&self) -> Option<String> {
        self.seen.get()
    }
}

impl SftpFile {
    /// Returns the size of a file, if it exists.
    pub async fn find(&mut self, name: &str) -> Result<Option<u64>, String> {
        self.session.find(&self.path(name)).await
    }

    /// Begins a file.
    pub async fn begin(&mut self, name: &str, attempt: i32) -> Result<(), String> {
        for old in (attempt - OLD_PARTS).max(1)..attempt {
            let old = self.path(&part_of(name, old));
            self.session.remove(&old).await?;
        }
        let part = self.path(&part_of(name, attempt));
        self.session.create(&part).await?;
        self.paths = Some((part, self.path(name)));
        Ok(())
    }

    /// Adds bytes to the file.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        self.session.write(&bytes).await
    }

    /// Returns when the server has all bytes.
    pub async fn seal(&mut self) -> Result<(), String> {
        self.session.close().await
    }

    /// Gives the file its final name.
    pub async fn publish(&mut self) -> Result<(), String> {
        let (part, path) = self.paths.as_ref().ok_or("the file has not been begun")?;
        // Some servers replace a file of this name, others refuse.
        if self.session.find(path).await?.is_some() {
            return Err("there is a file of this name".to_owned());
        }
        self.session.rename(part, path).await?;
        self.paths = None;
        Ok(())
    }

    /// Removes a file.
    pub async fn remove(&mut self, name: &str) -> Result<(), String> {
        self.session.remove(&self.path(name)).await
    }

    /// Removes what has been sent of the file.
    pub async fn abandon(&mut self) -> Result<(), String> {
        self.session.abandon().await?;
        match self.paths.take() {
            Some((part, _)) => self.session.remove(&part).await,
            None => Ok(()),
        }
    }

    fn path(&self, name: &str) -> String {
        match self.folder.as_str() {
            "" => name.to_owned(),
            folder if folder.ends_with('/') => format!("{folder}{name}"),
            folder => format!("{folder}/{name}"),
        }
    }
}
