//! Uploaded files of rows in CSV or NDJSON: their format and their encoding.

use encoding_rs::Encoding;

use super::files::{FileKind, Sent};
use crate::error::{Error, Reason};

/// Usual media types of such files, named in errors.
pub const SHEET_TYPES: &[&str] = &["text/csv", "application/x-ndjson"];
/// File name extensions of NDJSON.
const NDJSON_ENDINGS: [&str; 2] = ["ndjson", "jsonl"];

/// Format of a file of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Cells with delimiters and a header line (RFC 4180).
    Csv,
    /// One JSON object per line.
    Ndjson,
}

/// A kind of file in CSV or NDJSON.
pub trait SheetFile: FileKind {}

impl Format {
    /// Returns the name of the format in the API.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
        }
    }

    /// Returns the media type of the format.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv",
            Format::Ndjson => "application/x-ndjson",
        }
    }
}

/// True if a file in CSV or NDJSON may have this media type, which is in lower case.
pub fn may_be(media_type: &str) -> bool {
    format_of(media_type).is_some() || media_type == "text/plain"
}

impl<K: SheetFile> Sent<K> {
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
