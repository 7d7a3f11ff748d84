//! The one error of the product.
//!
//! It says what went wrong in the words of the domain and knows nothing of HTTP: `api::failure`
//! holds the only table that turns it into a status. Texts are written for the person who made the
//! call, name the field and the rule, and never carry secrets, bodies or internals; those stay in
//! the `source`, which is logged once, where the answer is made.

use std::error::Error as StdError;

pub use base::causes;

/// An error of any use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input breaks a rule; the text names the field and the rule.
    #[error("{0}")]
    Invalid(String),
    /// The input is fine, but not in the current state (a duplicate, a resource in use).
    #[error("{0}")]
    Conflict(String),
    /// The caller has sent no valid token.
    #[error("a valid token is required: send it as \"Authorization: Bearer <token>\"")]
    Unauthenticated,
    /// The ingest key is wrong or the network connection does not exist; the answer must not reveal which.
    #[error(
        "a valid ingest key of this network connection is required: send it as \"Authorization: \
         Bearer <ingest key>\", in the header X-Ingest-Key or as the query parameter ingest_key"
    )]
    WrongIngestKey,
    /// The caller is known but not allowed to do this.
    #[error("{0}")]
    Forbidden(String),
    /// The resource does not exist for this caller; the text names it.
    #[error("{0}")]
    NotFound(String),
    /// A dependency is unavailable or the hub is overloaded; the request can be retried.
    #[error("{what}")]
    Unavailable {
        /// Description of what is unavailable, for a person.
        what: String,
        /// Seconds after which a retry makes sense.
        retry_after_s: u64,
        /// Cause, for the log.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// A fault of ours. The source is for the log alone.
    #[error("an unexpected fault inside the hub; the log has it under this request's id")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

/// A cause that has already been logged, once for all callers that it affects.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Logged(pub String);

/// Result with the hub's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A broken rule of one field: `name: must have 1 to 120 characters`.
    pub fn field(field: &str, rule: impl std::fmt::Display) -> Self {
        Error::Invalid(format!("{field}: {rule}"))
    }

    /// `there is no <what> "<which>"`.
    pub fn missing(what: &str, which: impl std::fmt::Display) -> Self {
        Error::NotFound(format!("there is no {what} \"{which}\""))
    }

    /// A dependency is unavailable; the caller should retry after a moment.
    pub fn away(what: &str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::Unavailable {
            what: what.to_owned(),
            retry_after_s: 2,
            source: Some(source.into()),
        }
    }

    /// The hub has no capacity for more work now.
    pub fn overloaded(what: &str) -> Self {
        Error::Unavailable {
            what: what.to_owned(),
            retry_after_s: 1,
            source: None,
        }
    }

    /// The error with its causes, in one line, for an operator.
    pub fn causes(&self) -> String {
        causes(self)
    }

    /// Copies the error for another caller; its causes become text because they cannot be cloned.
    pub fn echo(&self) -> Self {
        match self {
            Error::Invalid(text) => Error::Invalid(text.clone()),
            Error::Conflict(text) => Error::Conflict(text.clone()),
            Error::Unauthenticated => Error::Unauthenticated,
            Error::WrongIngestKey => Error::WrongIngestKey,
            Error::Forbidden(text) => Error::Forbidden(text.clone()),
            Error::NotFound(text) => Error::NotFound(text.clone()),
            Error::Unavailable {
                what,
                retry_after_s,
                source,
            } => Error::Unavailable {
                what: what.clone(),
                retry_after_s: *retry_after_s,
                source: source.as_deref().map(|source| match source.is::<Logged>() {
                    true => Logged(source.to_string()).into(),
                    false => self.causes().into(),
                }),
            },
            Error::Internal(_) => Error::internal(self.causes()),
        }
    }

    /// A fault of ours, from whatever caused it.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::Internal(source.into())
    }
}
