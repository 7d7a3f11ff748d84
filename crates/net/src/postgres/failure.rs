//! Failures in words, and which of them are worth another try.

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorResponseBody;

/// As much of a server's words is kept; a person reads less.
const WORDS_MAX_BYTES: usize = 2000;

/// Why something was not done, in words that name no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason, for a person.
    pub words: String,
    /// True if another try would only fail again.
    pub is_final: bool,
}

impl Failure {
    /// It may be tried again later.
    pub fn wait(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            is_final: false,
        }
    }

    /// It will never be taken.
    pub fn hopeless(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            is_final: true,
        }
    }

    /// A message that answers no request.
    pub fn unexpected() -> Self {
        Self::wait("the answer cannot be read; is this a server of PostgreSQL?")
    }

    /// The server's own words, without the row.
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
            // A value that does not fit its column never will: data exceptions, NOT NULL and CHECK.
            is_final: code.starts_with("22") || matches!(code.as_str(), "23502" | "23514"),
            words: format!("{message} (SQLSTATE {code})"),
        }
    }
}
