//! What came back from a target.

use chrono::TimeDelta;

use crate::secret::Redactor;

/// What came back from a target.
#[derive(Debug, Default)]
pub struct Answer {
    /// HTTP status, where there was one.
    pub status: Option<u16>,
    /// Why it does not count as delivered.
    pub error: Option<String>,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<TimeDelta>,
    /// Whether that is about all messages, and not about this one alone.
    pub is_rest: bool,
    /// The beginning of what it answered, where that is text.
    pub text: Option<String>,
    /// Whether trying again would only fail again.
    pub is_final: bool,
}

/// How much of an error is kept: as much as a person wants to read.
const ERROR_MAX_CHARS: usize = 300;
/// How much of an answer is kept.
const TEXT_MAX_BYTES: usize = 1000;

impl Answer {
    /// It failed, and may be tried again.
    pub fn failed(error: impl Into<String>) -> Self {
        Self {
            error: Some(error.into()),
            ..Self::default()
        }
    }

    /// It failed, and always will.
    pub fn hopeless(error: impl Into<String>) -> Self {
        Self {
            is_final: true,
            ..Self::failed(error)
        }
    }

    /// It without the secrets that the receiver was sent: whoever may see deliveries sees what is kept of it.
    pub fn without(self, redactor: &Redactor) -> Self {
        Self {
            error: self.error.map(|text| redactor.redact(&text)),
            text: self.text.map(|text| redactor.redact(&text)),
            ..self
        }
    }

    /// What is kept of it. Secrets are left out before: half of one is one, too.
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
