//! Files of devices in HTTP: the body of an import and the response of an export.

use poem::{Body as PoemBody, IntoResponse, Response, http::header};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use crate::api::http::{
    bounds::BodyBounds,
    files::FileKind,
    sheet_file::{self, Format, SHEET_TYPES, SheetFile},
};

/// Kind of an uploaded file with devices to import.
pub struct DeviceFile;

impl FileKind for DeviceFile {
    const DESCRIPTION: &'static str = "File of devices in CSV or NDJSON.";
    const USUAL_TYPES: &'static [&'static str] = SHEET_TYPES;

    fn may_be(media_type: &str) -> bool {
        sheet_file::may_be(media_type)
    }

    fn max_bytes(bounds: &BodyBounds) -> usize {
        bounds.import_max_bytes
    }
}

impl SheetFile for DeviceFile {}

/// Response 200 with a file of devices.
pub struct DeviceStream {
    /// Format of the file.
    pub format: Format,
    /// Content of the file.
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
                description: "The request succeeded. The body contains the devices.",
                status: Some(200),
                status_range: None,
                content: contents(),
                headers: vec![],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// Returns the documentation of both formats.
fn contents() -> Vec<MetaMediaType> {
    let content = |format: Format| MetaMediaType {
        content_type: format.media_type(),
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
    };
    vec![content(Format::Csv), content(Format::Ndjson)]
}
