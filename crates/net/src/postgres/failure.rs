//! Failures as text, and whether they can be retried.

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorResponseBody;

/// Maximum length of a server's message that is kept; people are shown less.
const WORDS_MAX_BYTES: usize = 2000;

/// The reason of a failure, as text without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason, for a person.
    pub words: String,
    /// True if a retry would fail again.
    pub is_final: bool,
}

impl Failure {
    /// A failure that can be retried later.
    pub fn wait(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            is_final: false,
        }
    }

    /// A permanent failure.
    pub fn hopeless(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            is_final: true,
        }
    }

    /// The failure for a message that does not belong to a request.
    pub fn unexpected() -> Self {
        Self::wait("the answer cannot be read; is this a server of PostgreSQL?")
    }

    /// The failure with the server's message, without the row.
    pub fn of_server(body: &ErrorResponseBody) -> Self {
        let (mut message, mut code) = (String::new(), String::new());
        let mut fields = body.fields();
        while let Ok(Some(field)) = fields.next() {
            let bytes = field.value_bytes();
            let bytes = &bytes[..bytes.len().min(WORDS_MAX_BYTES)];
            match field.type_() {
                b'M' => message = String::from_utf8_lossy(bytes).into_owned(),
                b'C' => code = String::from_utf8_lossy(bytes).into_owned(),
                _ => {}
            }
        }
        Self {
            // A value that does not fit its column never will: data exceptions, and violations of NOT NULL
            // and CHECK.
            is_final: code.starts_with("22") || matches!(code.as_str(), "23502" | "23514"),
            words: format!("{message} (SQLSTATE {code})"),
        }
    }
}
