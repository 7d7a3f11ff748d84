//! Files that are sent as the only part of a form, as browsers and `curl -F file=@devices.csv` do.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use mime::Mime;
use multer::{Constraints, Field, Multipart, SizeLimit};
use poem::RequestBody;

use super::{
    body,
    bounds::{BodyBounds, FORM_BYTES},
};
use crate::error::{Error, Reason};

/// Number of bytes of a form that are read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Media type of forms with files.
pub const FORM_TYPE: &str = "multipart/form-data";

/// A file as the client sent it.
pub struct File {
    /// Content of the file.
    pub bytes: Vec<u8>,
    /// Media type that the client names.
    pub media_type: Mime,
    /// File name.
    pub name: Option<String>,
}

/// Reads the file of a form, of at most `max_bytes`.
pub async fn read(
    bounds: BodyBounds,
    max_bytes: usize,
    form: &Mime,
    body: &mut RequestBody,
) -> Result<File, Error> {
    let boundary = form.get_param(mime::BOUNDARY).ok_or_else(|| {
        Error::of_field(
            Reason::Malformed,
            "header Content-Type",
            "must name the form's boundary",
        )
    })?;
    let body = body.take().map_err(Error::internal)?;
    let all = u64::try_from(max_bytes + FORM_BYTES).unwrap_or(u64::MAX);
    let limit = Constraints::new().size_limit(SizeLimit::new().whole_stream(all));
    let chunks = in_turns(body.into_bytes_stream());
    let form = Multipart::with_constraints(chunks, boundary.as_str(), limit);
    tokio::time::timeout(bounds.timeout, only_file(form, max_bytes))
        .await
        .map_err(|_| body::late(bounds.timeout))?
}

/// Splits the body into small pieces and yields between them. The form's reader buffers everything that is
/// available before it passes anything on, and would copy a body that was read ahead as a whole. The end of the
/// stream comes separately, after an empty piece, because the reader ignores a piece that arrives together with
/// the end.
fn in_turns(
    chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let pieces = chunks.flat_map(|chunk| {
        let mut rest = chunk.map(Some);
        stream::iter(std::iter::from_fn(move || match &mut rest {
            Err(_) => std::mem::replace(&mut rest, Ok(None)).transpose(),
            Ok(Some(bytes)) if !bytes.is_empty() => {
                Some(Ok(bytes.split_to(bytes.len().min(PIECE_BYTES))))
            }
            Ok(_) => None,
        }))
    });
    let end = stream::once(std::future::ready(Ok(Bytes::new())));
    pieces.chain(end).then(async |piece| {
        tokio::task::yield_now().await;
        piece
    })
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
        // Browsers send an empty name for a field in which no file was chosen.
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
        _ => Error::of_field(Reason::Malformed, "body", "must be a whole multipart form"),
    }
}
