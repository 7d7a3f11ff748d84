//! Buckets of S3-compatible storage.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::outlets::Outlets;
use crate::{
    id::TenantId,
    s3::{self, Store, Upload},
    secret::Credentials,
};

/// Name of the type.
pub const KIND: &str = "s3";
/// Size of a part of an object.
const PART: usize = 8 * 1024 * 1024;
/// Maximum number of parts, by the rules of S3.
const PARTS_MAX: usize = 10_000;

/// Settings, which are stored unencrypted.
#[derive(Deserialize)]
struct Settings {
    endpoint: String,
    region: String,
    bucket: String,
    prefix: Option<String>,
    access_key_id: String,
    #[serde(default)]
    path_style: bool,
}

/// A bucket.
pub struct S3 {
    settings: s3::Settings,
    prefix: String,
    access_key_id: String,
    secret_access_key: String,
    tenant: TenantId,
}

/// An object of the bucket.
pub struct S3File {
    store: Store,
    prefix: String,
    writing: Option<Writing>,
}

/// An object that is being sent.
struct Writing {
    key: String,
    waiting: BytesMut,
    /// The parts of an object that is larger than one; it appears when they are put together.
    upload: Option<Upload>,
    parts: usize,
}

impl S3 {
    /// Reads the settings.
    pub fn open(
        tenant: TenantId,
        settings: &Value,
        credentials: &Credentials,
    ) -> Result<Self, String> {
        let settings = Settings::deserialize(settings).map_err(|error| error.to_string())?;
        let endpoint = settings.endpoint.parse::<Url>();
        let endpoint = endpoint.map_err(|error| format!("endpoint: {error}"))?;
        let secret = credentials.get("secret_access_key");
        let secret = secret.ok_or("the target has no secret access key")?;
        Ok(Self {
            settings: s3::Settings {
                endpoint,
                region: settings.region,
                bucket: settings.bucket,
                is_path_style: settings.path_style,
            },
            prefix: settings.prefix.unwrap_or_default(),
            access_key_id: settings.access_key_id,
            secret_access_key: secret.to_owned(),
            tenant,
        })
    }

    /// Opens the bucket, without a request.
    pub fn file(&self, outlets: &Outlets) -> Result<S3File, String> {
        let client = outlets.client.of(self.tenant.0);
        let (id, secret) = (&self.access_key_id, &self.secret_access_key);
        Ok(S3File {
            store: Store::open(client, self.settings.clone(), id, secret)?,
            prefix: self.prefix.clone(),
            writing: None,
        })
    }
}

impl S3File {
    /// Returns the size of an object, if it exists.
    pub async fn find(&mut self, name: &str) -> Result<Option<u64>, String> {
        self.store.find(&self.key(name)).await
    }

    /// Begins an object.
    pub async fn begin(&mut self, name: &str, _attempt: i32) -> Result<(), String> {
        self.writing = Some(Writing {
            key: self.key(name),
            waiting: BytesMut::new(),
            upload: None,
            parts: 0,
        });
        Ok(())
    }

    /// Adds bytes to the object.
    pub async fn write(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        let writing = self.writing.as_mut().ok_or_else(not_begun)?;
        writing.waiting.extend_from_slice(&bytes);
        while writing.waiting.len() > PART {
            let part = writing.waiting.split_to(PART).freeze();
            writing.send(&self.store, part).await?;
        }
        Ok(())
    }

    /// Returns when the server has all parts of an object of several parts.
    pub async fn seal(&mut self) -> Result<(), String> {
        let writing = self.writing.as_mut().ok_or_else(not_begun)?;
        match writing.upload {
            Some(_) => {
                let part = writing.waiting.split().freeze();
                writing.send(&self.store, part).await
            }
            None => Ok(()),
        }
    }

    /// Makes the object appear.
    pub async fn publish(&mut self) -> Result<(), String> {
        let writing = self.writing.as_mut().ok_or_else(not_begun)?;
        match &writing.upload {
            Some(upload) => self.store.complete(&writing.key, upload).await?,
            None => {
                let content = writing.waiting.split().freeze();
                self.store.put(&writing.key, content).await?;
            }
        }
        self.writing = None;
        Ok(())
    }

    /// Removes an object.
    pub async fn remove(&mut self, name: &str) -> Result<(), String> {
        self.store.delete(&self.key(name)).await
    }

    /// Discards the parts that have been sent.
    pub async fn abandon(&mut self) -> Result<(), String> {
        let writing = self.writing.take();
        match writing.and_then(|writing| Some((writing.key, writing.upload?))) {
            Some((key, upload)) => self.store.abort(&key, &upload).await,
            None => Ok(()),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl Writing {
    async fn send(&mut self, store: &Store, part: Bytes) -> Result<(), String> {
        if self.parts >= PARTS_MAX {
            return Err(format!("the file has more than {PARTS_MAX} parts of 8 MiB"));
        }
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(store.begin(&self.key).await?),
        };
        store.add(&self.key, upload, part).await?;
        self.parts += 1;
        Ok(())
    }
}

fn not_begun() -> String {
    "the file has not been begun".to_owned()
}
