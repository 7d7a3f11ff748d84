//! Answer of a target to an attempt.

use chrono::TimeDelta;
use tracing::Span;

use crate::{secret::Redactor, traces};

/// Answer of a target to an attempt.
#[derive(Debug, Default)]
pub struct Answer {
    /// HTTP status, if there is one.
    pub status: Option<u16>,
    /// Reason of the failure; `None` if the message was delivered.
    pub error: Option<String>,
    /// Time to wait that the receiver requested with `Retry-After`.
    pub retry_after: Option<TimeDelta>,
    /// True if `retry_after` concerns all messages, not only this one.
    pub asks_for_pause: bool,
    /// Beginning of the response, if it is text.
    pub text: Option<String>,
    /// True if another attempt would fail in the same way.
    pub is_final: bool,
}

/// Maximum length of a stored error, in characters.
const ERROR_MAX_CHARS: usize = 300;
/// Maximum size of a stored response text, in bytes.
const TEXT_MAX_BYTES: usize = 1000;

impl Answer {
    /// Creates a failure that may be retried.
    pub fn failed(error: impl Into<String>) -> Self {
        Self {
            error: Some(error.into()),
            ..Self::default()
        }
    }

    /// Creates a failure that must not be retried.
    pub fn hopeless(error: impl Into<String>) -> Self {
        Self {
            is_final: true,
            ..Self::failed(error)
        }
    }

    /// Records the outcome in the span of the attempt. Texts are left out, because receivers wrote them.
    pub fn trace(&self, span: &Span) {
        let outcome = match (&self.error, self.is_final) {
            (None, _) => "delivered",
            (Some(_), false) => "failed",
            (Some(_), true) => "hopeless",
        };
        traces::end(span, outcome, self.status, self.error.is_some());
    }

    /// Redacts the secrets that were sent to the receiver, because every user who may read deliveries sees
    /// the answer.
    pub fn without(self, redactor: &Redactor) -> Self {
        Self {
            error: self.error.map(|text| redactor.redact(&text)),
            text: self.text.map(|text| redactor.redact(&text)),
            ..self
        }
    }

    /// Truncates the answer for storage. Secrets must be redacted before, because a truncated secret would
    /// not be recognised.
    pub fn cut(mut self) -> Self {
        if let Some(error) = &mut self.error
            && let Some((end, _)) = error.char_indices().nth(ERROR_MAX_CHARS)
        {
            error.truncate(end);
        }
        if let Some(text) = &mut self.text {
            text.truncate(text.floor_char_boundary(TEXT_MAX_BYTES));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_is_kept_of_an_answer_as_a_person_wants_to_read() {
        let answer = Answer {
            text: Some("ü".repeat(900)),
            ..Answer::failed("ü".repeat(900))
        };
        let kept = answer.cut();
        assert_eq!(kept.error.unwrap().chars().count(), ERROR_MAX_CHARS);
        assert_eq!(kept.text.unwrap().len(), TEXT_MAX_BYTES);
    }
}
