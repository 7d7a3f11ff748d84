//! Versions and formats of the published document.

/// Version of OpenAPI in which the document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// OpenAPI 3.0, which all tools read.
    V3_0,
    /// OpenAPI 3.1, whose schemas are JSON Schema.
    V3_1,
}

/// Format of the document's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Format {
    /// Returns the media type (RFC 8259, RFC 9512).
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

/// A version of the document in a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form(pub Version, pub Format);
