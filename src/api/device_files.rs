//! Files of devices on the wire: the body of an import and the answer of an export.

use std::sync::Arc;

use poem::{Body as PoemBody, IntoResponse, Request, RequestBody, Response, Result, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions,
    registry::{
        MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef,
        Registry,
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    body,
    device_rows::{Format, Rows},
};
use crate::error::Error;

/// A file of one device.
const CSV_EXAMPLE: &str = "id,name,labels,metadata\nam102-meeting-2,Meeting room 2,site=berlin;indoor,\"{\"\"floor\"\":2}\"\n";
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
    pub fn enter(request: &Request) -> Result<OwnedSemaphorePermit, Error> {
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

/// A file to import.
pub struct DeviceFile {
    bytes: Vec<u8>,
    _received: OwnedSemaphorePermit,
}

impl DeviceFile {
    /// Its rows.
    pub fn read(self, format: Format, row_max: usize) -> Result<Rows, Error> {
        format.read(&self.bytes, row_max)
    }
}

/// Refuses what is not sent as a file.
pub fn check_file_type(request: &Request) -> Result<(), Error> {
    let kind = request.content_type().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(FILE_TYPE) {
        return Ok(());
    }
    let rule = format!("must be {FILE_TYPE}");
    Err(Error::field("header Content-Type", rule))
}

/// What the document says of a file.
pub fn file(example: &str) -> MetaMediaType {
    MetaMediaType {
        content_type: FILE_TYPE,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema {
            example: Some(example.into()),
            ..MetaSchema::new_with_format("string", "binary")
        })),
    }
}

impl<'a> ApiExtractor<'a> for DeviceFile {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: Some("The devices, in UTF-8"),
            content: vec![file(CSV_EXAMPLE)],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        check_file_type(request)?;
        let received = Receiving::enter(request)?;
        Ok(Self {
            bytes: body::read_import(request, body).await?,
            _received: received,
        })
    }
}

/// 200 with a stream of devices.
pub struct DeviceStream {
    /// What they are written in.
    pub format: Format,
    /// The file.
    pub body: PoemBody,
}

impl IntoResponse for DeviceStream {
    fn into_response(self) -> Response {
        let kind = self.format.media_type();
        Response::builder()
            .header(header::CONTENT_TYPE, format!("{kind}; charset=utf-8"))
            .body(self.body)
    }
}

impl ApiResponse for DeviceStream {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Done; the body holds the devices",
                status: Some(200),
                status_range: None,
                content: contents(),
                headers: vec![],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// What the document says of both forms.
fn contents() -> Vec<MetaMediaType> {
    let content = |format: Format, example: &str| MetaMediaType {
        content_type: format.media_type(),
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema {
            example: Some(example.into()),
            ..MetaSchema::new("string")
        })),
    };
    vec![
        content(Format::Csv, CSV_EXAMPLE),
        content(
            Format::Ndjson,
            "{\"id\":\"am102-meeting-2\",\"labels\":[\"site=berlin\"]}\n{\"id\":\"am102-meeting-3\"}\n",
        ),
    ]
}
