//! Files of devices on the wire: the body of an import and the answer of an export.

use poem::{Body as PoemBody, IntoResponse, Request, RequestBody, Response, Result, http::header};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use super::{body, device_rows::Format, files::FileKind};
use crate::error::Error;

/// A file of one device.
const CSV_EXAMPLE: &str = "id,name,labels,metadata\nam102-meeting-2,Meeting room 2,site=berlin;indoor,\"{\"\"floor\"\":2}\"\n";
/// A file of devices to import.
pub struct DeviceFile;

impl FileKind for DeviceFile {
    const DESCRIPTION: &'static str = "The devices, in UTF-8";
    const EXAMPLE: &'static str = CSV_EXAMPLE;

    async fn read(request: &Request, body: &mut RequestBody) -> Result<Vec<u8>, Error> {
        body::read_import(request, body).await
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
