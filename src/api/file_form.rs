//! Files that come as the only part of a form, as browsers and `curl -F file=@devices.csv` send them.

use mime::Mime;
use multer::{Constraints, Field, Multipart, SizeLimit};
use poem::RequestBody;

use super::body::{self, BodyBounds, FORM_BYTES};
use crate::error::Error;

/// The media type of forms with files.
pub const FORM_TYPE: &str = "multipart/form-data";

/// A file as the client sent it.
pub struct File {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// What the client says it is.
    pub media_type: Mime,
    /// Its name.
    pub name: Option<String>,
}

/// Reads the form's file, of at most `max_bytes`.
pub async fn read(
    bounds: BodyBounds,
    max_bytes: usize,
    form: &Mime,
    body: &mut RequestBody,
) -> Result<File, Error> {
    let boundary = form
        .get_param(mime::BOUNDARY)
        .ok_or_else(|| Error::field("header Content-Type", "must name the form's boundary"))?;
    let body = body.take().map_err(Error::internal)?;
    let all = u64::try_from(max_bytes + FORM_BYTES).unwrap_or(u64::MAX);
    let limit = Constraints::new().size_limit(SizeLimit::new().whole_stream(all));
    let chunks = body.into_bytes_stream();
    let form = Multipart::with_constraints(chunks, boundary.as_str(), limit);
    tokio::time::timeout(bounds.timeout, only_file(form, max_bytes))
        .await
        .map_err(|_| body::late(bounds.timeout))?
}

async fn only_file(mut form: Multipart<'_>, max_bytes: usize) -> Result<File, Error> {
    let mut found = None;
    while let Some(field) = form.next_field().await.map_err(|e| broken(&e, max_bytes))? {
        let Some(name) = field.file_name() else {
            return Err(Error::field(
                "body",
                "must have no part but the file: options are query parameters",
            ));
        };
        // A browser sends this for a field in which no file was chosen.
        if name.is_empty() {
            continue;
        }
        if found.is_some() {
            return Err(Error::field("body", "must have one file"));
        }
        found = Some(file(field, max_bytes).await?);
    }
    found.ok_or_else(|| Error::field("body", "must have a part with a file"))
}

async fn file(mut field: Field<'_>, max_bytes: usize) -> Result<File, Error> {
    let media_type = field.content_type().cloned();
    let name = field.file_name().map(ToOwned::to_owned);
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|e| broken(&e, max_bytes))? {
        if bytes.len() + chunk.len() > max_bytes {
            return Err(body::too_large(max_bytes));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(File {
        bytes,
        media_type: media_type.unwrap_or(mime::APPLICATION_OCTET_STREAM),
        name,
    })
}

fn broken(error: &multer::Error, max_bytes: usize) -> Error {
    match error {
        multer::Error::StreamSizeExceeded { .. } => body::too_large(max_bytes),
        multer::Error::StreamReadFailed(_) => body::broke_off(),
        _ => Error::field("body", "must be a whole multipart form"),
    }
}
