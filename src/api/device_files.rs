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

/// A file to import.
pub struct DeviceFile {
    /// What it is written in.
    pub format: Format,
    bytes: Vec<u8>,
    _received: OwnedSemaphorePermit,
}

impl DeviceFile {
    /// Its rows.
    pub fn read(self, row_max: usize) -> Result<Rows, Error> {
        self.format.read(&self.bytes, row_max)
    }
}

impl<'a> ApiExtractor<'a> for DeviceFile {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: contents(),
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let format = format_of(request)?;
        let received = Receiving::enter(request)?;
        Ok(Self {
            format,
            bytes: body::read_import(request, body).await?,
            _received: received,
        })
    }
}

fn format_of(request: &Request) -> Result<Format, Error> {
    let value = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut parts = value.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let format = [Format::Csv, Format::Ndjson]
        .into_iter()
        .find(|format| kind.eq_ignore_ascii_case(format.media_type()));
    let is_utf8 = parts.all(|part| {
        let part = part.replace('"', "").to_ascii_lowercase();
        part.is_empty() || matches!(part.as_str(), "charset=utf-8" | "header=present")
    });
    format.filter(|_| is_utf8).ok_or_else(|| {
        Error::field(
            "header Content-Type",
            "must be text/csv or application/x-ndjson, in UTF-8",
        )
    })
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
        content(
            Format::Csv,
            "id,name,labels,metadata\nam102-meeting-2,Meeting room 2,site=berlin;indoor,\"{\"\"floor\"\":2}\"\n",
        ),
        content(
            Format::Ndjson,
            "{\"id\":\"am102-meeting-2\",\"labels\":[\"site=berlin\"]}\n{\"id\":\"am102-meeting-3\"}\n",
        ),
    ]
}
