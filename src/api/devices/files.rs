//! Files of devices in HTTP: the body of an import and the response of an export.

use encoding_rs::Encoding;
use poem::{Body as PoemBody, IntoResponse, Response, http::header};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use crate::{
    api::{
        devices::rows::Format,
        http::{
            bounds::BodyBounds,
            files::{FileKind, Sent},
        },
    },
    error::{Error, Reason},
};

/// File name extensions of NDJSON.
const NDJSON_ENDINGS: [&str; 2] = ["ndjson", "jsonl"];

/// Kind of an uploaded file with devices to import.
pub struct DeviceFile;

impl FileKind for DeviceFile {
    const DESCRIPTION: &'static str = "File of devices in CSV or NDJSON.";
    const USUAL_TYPES: &'static [&'static str] = &["text/csv", "application/x-ndjson"];

    fn may_be(media_type: &str) -> bool {
        format_of(media_type).is_some() || media_type == "text/plain"
    }

    fn max_bytes(bounds: &BodyBounds) -> usize {
        bounds.import_max_bytes
    }
}

impl Sent<DeviceFile> {
    /// Returns the format of the file: the one that the client `asked` for, or that the media type or the file
    /// name indicates; CSV by default.
    pub fn format(&self, asked: Option<Format>) -> Result<Format, Error> {
        let said = format_of(self.media_type.essence_str());
        match (asked, said) {
            (Some(asked), Some(said)) if asked != said => {
                let (asked, said) = (asked.name(), said.name());
                let rule = format!("is {asked}, but the Content-Type of the file means {said}");
                Err(Error::field("format", rule))
            }
            (Some(format), _) | (None, Some(format)) => self.check_header(format),
            (None, None) => Ok(match self.name_ends_like(&NDJSON_ENDINGS) {
                true => Format::Ndjson,
                false => Format::Csv,
            }),
        }
    }

    /// Returns the encoding that the media type names.
    pub fn told_encoding(&self) -> Result<Option<&'static Encoding>, Error> {
        let Some(charset) = self.media_type.get_param(mime::CHARSET) else {
            return Ok(None);
        };
        let label = charset.as_str();
        match Encoding::for_label(label.as_bytes()) {
            Some(encoding) => Ok(Some(encoding)),
            None => Err(Error::of_field(
                Reason::UnsupportedMediaType,
                "header Content-Type",
                "must name a charset of the WHATWG Encoding Standard, such as utf-8 or windows-1252",
            )),
        }
    }

    fn check_header(&self, format: Format) -> Result<Format, Error> {
        let header = self.media_type.get_param("header");
        if header.is_some_and(|header| header == "absent") {
            let rule = "must not be header=absent: the first line names the columns";
            let reason = Reason::UnsupportedMediaType;
            return Err(Error::of_field(reason, "header Content-Type", rule));
        }
        Ok(format)
    }

    fn name_ends_like(&self, endings: &[&str]) -> bool {
        let name = self.name.as_deref().unwrap_or_default();
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        ending.is_some_and(|ending| {
            endings
                .iter()
                .any(|known| ending.eq_ignore_ascii_case(known))
        })
    }
}

fn format_of(media_type: &str) -> Option<Format> {
    match media_type {
        "text/csv"
        | "text/x-csv"
        | "application/csv"
        | "text/comma-separated-values"
        | "text/tab-separated-values"
        // Windows names the program that opens such files.
        | "application/vnd.ms-excel" => Some(Format::Csv),
        // None of these media types is registered.
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines" => Some(Format::Ndjson),
        _ => None,
    }
}

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
