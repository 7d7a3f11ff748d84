//! Files that clients send as they are: their media type, how many are received at a time, and how the
//! document tells of them.

use std::{future::Future, marker::PhantomData, sync::Arc};

use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

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
/// knows. What they are written in, the operation says.
pub const FILE_TYPE: &str = "application/octet-stream";

/// What a file is.
pub trait FileKind: Send + Sync {
    /// For the document.
    const DESCRIPTION: &'static str;
    /// For the document.
    const EXAMPLE: &'static str;

    /// Reads it within its bound.
    fn read(
        request: &Request,
        body: &mut RequestBody,
    ) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;
}

/// A file that was sent. Its place is free again when it is dropped.
pub struct Sent<K> {
    /// What is in it.
    pub bytes: Vec<u8>,
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
        check_type(request)?;
        let place = Receiving::enter(request)?;
        Ok(Self {
            bytes: K::read(request, body).await?,
            _place: place,
            _kind: PhantomData,
        })
    }
}

/// Refuses what is not sent as a file.
fn check_type(request: &Request) -> Result<(), Error> {
    let kind = request.content_type().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(FILE_TYPE) {
        return Ok(());
    }
    let rule = format!("must be {FILE_TYPE}");
    Err(Error::field("header Content-Type", rule))
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
