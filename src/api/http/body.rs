//! Bodies of requests, bounded in size and in the time that they take to arrive.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use poem::{Body as PoemBody, Request, RequestBody, Result, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry},
    types::Type,
};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{
    body_room::BodyRoom,
    bounds::{BodyBounds, FACTOR_MAX},
    declaration,
    encoding::Encoding,
    json::parse,
};
use crate::{
    error::{Error, Reason},
    threads::run_apart,
};

/// Maximum number of bodies that are uncompressed at the same time; others wait for a few milliseconds.
const UNCOMPRESSING_MAX: usize = 8;

/// Limits the bodies that are uncompressed at the same time; part of the request's data.
#[derive(Clone)]
pub struct Uncompressing(Arc<Semaphore>);

impl Default for Uncompressing {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UNCOMPRESSING_MAX)))
    }
}

/// Media type of a JSON body.
const JSON: &str = "application/json";

/// A JSON body of type `T`, of at most `FACTOR` times the usual size.
pub struct Body<T, const FACTOR: usize = 1>(pub T);

impl<'a, T: Type + DeserializeOwned, const FACTOR: usize> ApiExtractor<'a> for Body<T, FACTOR> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(json_request(T::schema_ref()))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        const { assert!(FACTOR <= FACTOR_MAX, "bodies are read ahead up to that") };
        check_content_type(request)?;
        let bytes = read_encoded(request, body, FACTOR).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// A JSON body that may be missing.
pub struct OptionalBody<T>(pub Option<T>);

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for OptionalBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            required: false,
            ..json_request(T::schema_ref())
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let bytes = read_encoded(request, body, 1).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(None));
        }
        check_content_type(request)?;
        Ok(Self(Some(parse(&bytes)?)))
    }
}

/// Returns the documentation of a required JSON body.
pub fn json_request(schema: MetaSchemaRef) -> MetaRequest {
    MetaRequest {
        description: None,
        content: vec![MetaMediaType {
            content_type: JSON,
            schema,
        }],
        required: true,
    }
}

/// Refuses a body whose `Content-Type` is not JSON.
pub fn check_content_type(request: &Request) -> Result<(), Error> {
    let kind = content_type(request)?;
    if kind.as_deref() == Some(JSON) {
        return Ok(());
    }
    let rule = format!("must be {JSON}");
    Err(unsupported("Content-Type", rule))
}

/// Refuses a `Content-Type` that excludes JSON. Network servers choose the type themselves: it may be a JSON
/// type of their own (RFC 6839), text, or missing. Parsing the body shows if it is JSON.
pub fn check_network_content_type(request: &Request) -> Result<(), Error> {
    let is_own = |kind: &str| kind.starts_with("application/") && kind.ends_with("+json");
    match content_type(request)?.as_deref() {
        None | Some("" | JSON) => Ok(()),
        Some(kind) if kind.starts_with("text/") || is_own(kind) => Ok(()),
        Some(_) => {
            let rule = format!("must be {JSON}, application/*+json or text/*, or be absent");
            Err(unsupported("Content-Type", rule))
        }
    }
}

/// Returns the media type in `Content-Type`, in lower case; `None` if the header is missing. Refuses any
/// charset but UTF-8; other parameters do not matter for JSON.
fn content_type(request: &Request) -> Result<Option<String>, Error> {
    let Some(value) = request.headers().get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    let value = value.to_str().unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    for part in parts {
        let (name, charset) = part.split_once('=').unwrap_or((part, ""));
        let charset = charset
            .trim()
            .trim_matches(['"', '\''])
            .to_ascii_lowercase();
        // ASCII is a subset of UTF-8.
        let is_read = matches!(
            charset.as_str(),
            "" | "utf-8" | "utf8" | "us-ascii" | "ascii"
        );
        if name.trim().eq_ignore_ascii_case("charset") && !is_read {
            let rule = format!("must be {JSON}, with no charset but utf-8");
            return Err(unsupported("Content-Type", rule));
        }
    }
    Ok(Some(kind))
}

/// Reads a body that may be compressed. The size bound applies to the compressed and to the uncompressed body.
pub async fn read_encoded(
    request: &Request,
    body: &mut RequestBody,
    factor: usize,
) -> Result<Vec<u8>, Error> {
    let max_bytes = BodyBounds::of(request)?.max_bytes * factor;
    let encoding = Encoding::of(request)?;
    let bytes = read(request, body, factor).await?;
    if encoding == Encoding::Identity {
        return Ok(bytes);
    }
    let uncompressing: Option<&Uncompressing> = request.data();
    let places = uncompressing.map(|places| places.0.clone());
    let places = places.ok_or_else(|| Error::internal("nothing bounds uncompressing"))?;
    let place = places.acquire_owned().await.map_err(Error::internal)?;
    // Runs on a thread of its own, because a few compressed bytes can take long to uncompress.
    run_apart("uncompress", place, move || {
        encoding.decode(bytes, max_bytes)
    })
    .await
}

/// Reads a whole body within its bounds. A body that is too large is still read to its end, as far as the time
/// allows: otherwise the client would see a broken connection instead of the response.
pub async fn read(
    request: &Request,
    body: &mut RequestBody,
    factor: usize,
) -> Result<Vec<u8>, Error> {
    let bounds = BodyBounds::of(request)?;
    let body = body.take().map_err(Error::internal)?;
    let max_bytes = bounds.max_bytes * factor;
    let reading = collect(body, max_bytes, |_, length| BodyRoom::grow(request, length));
    in_time(bounds, reading).await
}

/// Returns the error for a body that takes too long to arrive.
pub fn late(limit: Duration) -> Error {
    Error::of_field(
        Reason::BodyTimeout,
        "body",
        format!("did not arrive within {} s", limit.as_secs()),
    )
}

/// Returns the error for a body that is too large.
pub fn too_large(max_bytes: usize) -> Error {
    Error::of_field(
        Reason::TooLarge,
        "body",
        format!("must have at most {max_bytes} bytes"),
    )
}

/// Returns the error for a body that was cut off.
pub fn broke_off() -> Error {
    Error::of_field(Reason::BodyTimeout, "body", "ended before it was complete")
}

/// Reads a whole body of at most `max_bytes`, whose memory is already accounted for.
pub async fn read_within(
    bounds: BodyBounds,
    max_bytes: usize,
    body: &mut RequestBody,
) -> Result<Vec<u8>, Error> {
    let body = body.take().map_err(Error::internal)?;
    in_time(bounds, collect(body, max_bytes, |_, _| Ok(()))).await
}

/// Reads the whole body of a request ahead, within the largest bound of its operation, hashes it, and puts it
/// back. The operation takes over the buffer without a copy.
pub async fn buffer(request: &mut Request, hash: &mut Sha256) -> Result<(), Error> {
    let bounds = BodyBounds::of(request)?;
    let operation = declaration::of(request)?;
    let max_bytes = bounds.largest(operation.body_max);
    let has_place = operation.takes_file;
    let body = request.take_body();
    let reading = collect(body, max_bytes, |chunk, length| {
        if !has_place {
            BodyRoom::grow(request, length)?;
        }
        hash.update(chunk);
        Ok(())
    });
    let bytes = in_time(bounds, reading).await?;
    request.set_body(bytes);
    Ok(())
}

async fn in_time<T>(
    bounds: BodyBounds,
    reading: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let read = tokio::time::timeout(bounds.timeout, reading).await;
    read.unwrap_or_else(|_| Err(late(bounds.timeout)))
}

/// Reads a body to its end. Calls `see` for each piece with the length of the body so far; an error of `see`
/// ends the reading.
async fn collect(
    body: PoemBody,
    max_bytes: usize,
    mut see: impl FnMut(&[u8], usize) -> Result<(), Error>,
) -> Result<Vec<u8>, Error> {
    let mut stream = body.into_bytes_stream();
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(chunk) = stream.next().await {
        let chunk: Bytes = chunk.map_err(|_| broke_off())?;
        length += chunk.len();
        if length > max_bytes {
            // The body is refused, so its bytes are not kept while the rest is read.
            bytes = Vec::new();
            continue;
        }
        see(&chunk, length)?;
        if bytes.is_empty() {
            // A body that was read ahead arrives in one piece, which is not copied.
            bytes = chunk.into();
        } else {
            bytes.extend_from_slice(&chunk);
        }
    }
    if length > max_bytes {
        return Err(too_large(max_bytes));
    }
    Ok(bytes)
}

/// Returns the error for content that the operation does not accept, as `header` declares it.
pub fn unsupported(header: &str, rule: impl std::fmt::Display) -> Error {
    Error::of_field(
        Reason::UnsupportedMediaType,
        &format!("header {header}"),
        rule,
    )
}
