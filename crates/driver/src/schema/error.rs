//! Errors of schemas.

/// The reason why a schema is rejected: the place in it, and the broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct SchemaError {
    /// The place, from `schema` on, its parts joined by dots.
    pub path: String,
    /// The rule.
    pub message: String,
}

impl SchemaError {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}
