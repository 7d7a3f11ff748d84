//! Files that clients send as they are: their media type, how many are received at a time, and how the
//! document tells of them.

use std::{marker::PhantomData, sync::Arc};

use mime::Mime;
use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    body::{self, BodyBounds},
    file_encoding::SAVE_AS_UTF8,
    file_form::{self, FORM_TYPE, File},
};
use crate::error::Error;

/// What Excel calls its files.
const WORKBOOK_TYPE: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
/// Files that are received and read at a time: each is in memory.
const RECEIVING_MAX: usize = 2;

/// Lets in files to import, among the request's data.
#[derive(Clone)]
pub struct Receiving(Arc<Semaphore>);

impl Default for Receiving {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(RECEIVING_MAX)))
    }
}

impl Receiving {
    /// Lets in one more file, until the answer is dropped.
    fn enter(request: &Request) -> Result<OwnedSemaphorePermit, Error> {
        let receiving: &Self = request
            .data()
            .ok_or_else(|| Error::internal("nothing lets in files to import"))?;
        let received = receiving.0.clone().try_acquire_owned();
        received.map_err(|_| Error::overloaded("other files are being received; try again"))
    }
}

/// The media type of files that are sent: the one of those for files that every generator of clients
/// knows, and so the only one in the document. The operations tell of the others.
pub const FILE_TYPE: &str = "application/octet-stream";

/// What a file is.
pub trait FileKind: Send + Sync {
    /// For the document.
    const DESCRIPTION: &'static str;
    /// For the document.
    const EXAMPLE: &'static str;
    /// Media types that it usually has, for errors.
    const USUAL_TYPES: &'static [&'static str];

    /// Whether it may have this media type, in lower case.
    fn may_be(media_type: &str) -> bool;

    /// Most bytes.
    fn max_bytes(bounds: &BodyBounds) -> usize;
}

/// A file that was sent. Its place is free again when it is dropped.
pub struct Sent<K> {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// What the client says it is.
    pub media_type: Mime,
    /// Its name, where a form tells.
    pub name: Option<String>,
    _place: OwnedSemaphorePermit,
    _kind: PhantomData<K>,
}

impl<'a, K: FileKind> ApiExtractor<'a> for Sent<K> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: Some(K::DESCRIPTION),
            content: vec![content(K::EXAMPLE)],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let media_type = media_type_of::<K>(request)?;
        let place = Receiving::enter(request)?;
        let bounds = body::bounds_of(request)?;
        let max_bytes = K::max_bytes(&bounds);
        let file = if media_type.essence_str() == FORM_TYPE {
            let file = file_form::read(bounds, max_bytes, &media_type, body).await?;
            check_type::<K>("the file's Content-Type", &file.media_type)?;
            file
        } else {
            File {
                bytes: body::read_within(bounds, max_bytes, body).await?,
                media_type,
                name: None,
            }
        };
        Ok(Self {
            bytes: file.bytes,
            media_type: file.media_type,
            name: file.name,
            _place: place,
            _kind: PhantomData,
        })
    }
}

fn media_type_of<K: FileKind>(request: &Request) -> Result<Mime, Error> {
    const PLACE: &str = "header Content-Type";
    let told = request.content_type().unwrap_or_default().trim();
    let media_type: Mime = told.parse().map_err(|_| wrong_type::<K>(PLACE))?;
    if media_type.essence_str() != FORM_TYPE {
        check_type::<K>(PLACE, &media_type)?;
    }
    Ok(media_type)
}

/// Refuses what is not sent as a file.
fn check_type<K: FileKind>(place: &str, media_type: &Mime) -> Result<(), Error> {
    let essence = media_type.essence_str();
    if essence == FILE_TYPE || K::may_be(essence) {
        return Ok(());
    }
    if essence == WORKBOOK_TYPE {
        let rule = format!("must not be that of a workbook: {SAVE_AS_UTF8}");
        return Err(Error::field(place, rule));
    }
    Err(wrong_type::<K>(place))
}

fn wrong_type<K: FileKind>(place: &str) -> Error {
    let known = [&[FILE_TYPE], K::USUAL_TYPES].concat();
    let rule = format!("must be {} or {FORM_TYPE}", known.join(", "));
    Error::field(place, rule)
}

/// What the document says of a file.
pub fn content(example: &str) -> MetaMediaType {
    MetaMediaType {
        content_type: FILE_TYPE,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema {
            example: Some(example.into()),
            ..MetaSchema::new_with_format("string", "binary")
        })),
    }
}
