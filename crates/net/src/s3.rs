//! S3-compatible storage as a client: writes objects, large ones in parts.
//!
//! Requests are signed in their URLs, which therefore never appear in an error, and go through the guarded HTTP client.

use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode, header};
use rusty_s3::{
    Bucket, Credentials, S3Action, UrlStyle,
    actions::{
        AbortMultipartUpload, CompleteMultipartUpload, CompleteMultipartUploadResponse,
        CreateMultipartUpload, DeleteObject, HeadObject, PutObject, UploadPart,
    },
};
use url::Url;

use crate::outgoing::{Client, Response};

/// Time for which a signature is valid.
const VALID_FOR: Duration = Duration::from_secs(900);
/// Maximum time to read the body of an answer.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Maximum length of a text of the server in an error.
const WORDS_MAX: usize = 200;

/// Settings of a bucket.
#[derive(Debug, Clone)]
pub struct Settings {
    /// URL of the server.
    pub endpoint: Url,
    /// Region of the bucket, which is part of the signature.
    pub region: String,
    /// Name of the bucket.
    pub bucket: String,
    /// True if the bucket is in the path of the URL, false if it is in the name of the host.
    pub is_path_style: bool,
}

/// A bucket.
pub struct Store {
    client: Client,
    bucket: Bucket,
    credentials: Credentials,
}

/// An object that is sent in parts.
pub struct Upload {
    id: String,
    etags: Vec<String>,
}

impl Store {
    /// Opens a bucket. The errors of this and the other functions are texts for people.
    pub fn open(
        client: Client,
        settings: Settings,
        access_key_id: &str,
        secret_access_key: &str,
    ) -> Result<Self, String> {
        let style = match settings.is_path_style {
            true => UrlStyle::Path,
            false => UrlStyle::VirtualHost,
        };
        let Settings {
            endpoint,
            region,
            bucket,
            ..
        } = settings;
        let bucket = Bucket::new(endpoint, style, bucket, region);
        Ok(Self {
            client,
            bucket: bucket.map_err(|error| format!("endpoint: {error}"))?,
            credentials: Credentials::new(access_key_id, secret_access_key),
        })
    }

    /// Returns the size of an object, if it exists.
    pub async fn find(&self, key: &str) -> Result<Option<u64>, String> {
        let action = HeadObject::new(&self.bucket, Some(&self.credentials), key);
        let answer = self.send(Method::HEAD, &action, Bytes::new()).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                let size = answer.headers.get(header::CONTENT_LENGTH);
                let size = size.and_then(|size| size.to_str().ok()?.parse().ok());
                Ok(Some(size.unwrap_or_default()))
            }
            // An answer to HEAD has no body that says more.
            StatusCode::FORBIDDEN => Err(
                "403 Forbidden: the server refuses the access key, or it may not read".to_owned(),
            ),
            status => Err(status.to_string()),
        }
    }

    /// Writes a whole object.
    pub async fn put(&self, key: &str, content: Bytes) -> Result<(), String> {
        let action = PutObject::new(&self.bucket, Some(&self.credentials), key);
        checked(self.send(Method::PUT, &action, content).await?).await?;
        Ok(())
    }

    /// Removes an object, if it exists.
    pub async fn delete(&self, key: &str) -> Result<(), String> {
        let action = DeleteObject::new(&self.bucket, Some(&self.credentials), key);
        checked(self.send(Method::DELETE, &action, Bytes::new()).await?).await?;
        Ok(())
    }

    /// Begins an object in parts.
    pub async fn begin(&self, key: &str) -> Result<Upload, String> {
        let action = CreateMultipartUpload::new(&self.bucket, Some(&self.credentials), key);
        let answer = checked(self.send(Method::POST, &action, Bytes::new()).await?).await?;
        let parsed = CreateMultipartUpload::parse_response(&answer);
        let parsed = parsed.map_err(|_| unreadable(&answer))?;
        Ok(Upload {
            id: parsed.upload_id().to_owned(),
            etags: Vec::new(),
        })
    }

    /// Sends the next part of an object.
    pub async fn add(&self, key: &str, upload: &mut Upload, part: Bytes) -> Result<(), String> {
        let number = u16::try_from(upload.etags.len() + 1).unwrap_or(u16::MAX);
        let credentials = Some(&self.credentials);
        let action = UploadPart::new(&self.bucket, credentials, key, number, &upload.id);
        let answer = self.send(Method::PUT, &action, part).await?;
        let etag = answer.headers.get(header::ETAG);
        let etag = etag.and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        checked(answer).await?;
        upload
            .etags
            .push(etag.ok_or("the server does not name the part (ETag)")?);
        Ok(())
    }

    /// Makes the object appear with all of its parts.
    pub async fn complete(&self, key: &str, upload: &Upload) -> Result<(), String> {
        let credentials = Some(&self.credentials);
        let etags = upload.etags.iter().map(String::as_str);
        let action =
            CompleteMultipartUpload::new(&self.bucket, credentials, key, &upload.id, etags);
        let url = action.sign(VALID_FOR);
        let body = action.body();
        let answer = self.request(Method::POST, &url, body.into()).await?;
        let answer = checked(answer).await?;
        // An error after the beginning of the answer has the status 200.
        match CompleteMultipartUploadResponse::parse(&answer) {
            Ok(_) => Ok(()),
            Err(_) => Err(unreadable(&answer)),
        }
    }

    /// Discards the parts of an object.
    pub async fn abort(&self, key: &str, upload: &Upload) -> Result<(), String> {
        let credentials = Some(&self.credentials);
        let action = AbortMultipartUpload::new(&self.bucket, credentials, key, &upload.id);
        checked(self.send(Method::DELETE, &action, Bytes::new()).await?).await?;
        Ok(())
    }

    async fn send<'a>(
        &self,
        method: Method,
        action: &impl S3Action<'a>,
        body: Bytes,
    ) -> Result<Response, String> {
        self.request(method, &action.sign(VALID_FOR), body).await
    }

    async fn request(&self, method: Method, url: &Url, body: Bytes) -> Result<Response, String> {
        self.client.send(method, url, HeaderMap::new(), body).await
    }
}

/// Returns the body of an answer that is a success.
async fn checked(answer: Response) -> Result<String, String> {
    let error = answer.error();
    let body = answer.beginning(BODY_TIME).await;
    let body = String::from_utf8_lossy(&body).into_owned();
    match error {
        None => Ok(body),
        Some(error) => Err(match explanation(&body) {
            Some(explained) => format!("{error}: {explained}"),
            None => error,
        }),
    }
}

fn unreadable(answer: &str) -> String {
    explanation(answer).unwrap_or_else(|| "the answer is not one of S3".to_owned())
}

/// Returns the code and the message of an error in XML.
fn explanation(body: &str) -> Option<String> {
    let member = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once("</")?;
        let plain = text.chars().filter(|c| !c.is_control());
        Some(plain.take(WORDS_MAX).collect::<String>())
    };
    let code = member("Code")?;
    Some(match member("Message") {
        Some(message) => format!("{code}: {message}"),
        None => code,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_explained_with_bounded_texts() {
        let body =
            "<?xml?><Error><Code>NoSuchBucket</Code><Message>There\nis none</Message></Error>";
        assert_eq!(explanation(body).unwrap(), "NoSuchBucket: Thereis none");
        assert_eq!(explanation("<Error><Code>A</Code></Error>").unwrap(), "A");
        assert_eq!(explanation("<html>no"), None);
        let long = format!("<Code>{}</Code>", "x".repeat(10_000));
        assert_eq!(explanation(&long).unwrap().len(), WORDS_MAX);
    }
}
