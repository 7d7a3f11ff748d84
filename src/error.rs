//! The one error of the product.
//!
//! It says what went wrong in the words of the domain, and knows HTTP only by the status that belongs to its
//! reason. Texts are written for the person who made the call, name the field and the rule, and never carry
//! secrets, bodies or internals; those stay in the `source`, which is logged once, where the answer is made.

mod reason;

use std::error::Error as StdError;

pub use base::causes;
pub use reason::Reason;

/// An error of any use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks a rule, or is not possible in the current state.
    #[error("{text}")]
    Rejected {
        /// Reason, with the status 400.
        reason: Reason,
        /// Member, parameter or header at fault; the text starts with it.
        field: Option<String>,
        /// The field and the rule, for a person.
        text: String,
    },
    /// The caller has sent no valid token.
    #[error("a valid token is required: send it as \"Authorization: Bearer <token>\"")]
    Unauthenticated,
    /// The caller's session or key is over.
    #[error("{0} has expired")]
    Expired(&'static str),
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
    /// Nothing is served at this path.
    #[error("there is no such path")]
    NoSuchPath,
    /// The path does not take this method.
    #[error("this path does not take the method; it takes {allowed}")]
    MethodNotAllowed {
        /// The methods that it takes, separated by commas.
        allowed: String,
    },
    /// A dependency is unavailable or the hub is overloaded; the request can be retried.
    #[error("{what}")]
    Unavailable {
        /// Reason, with the status 503.
        reason: Reason,
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
        Self::of_field(Reason::Invalid, field, rule)
    }

    /// An error about one field, with a reason of its own.
    pub fn of_field(reason: Reason, field: &str, rule: impl std::fmt::Display) -> Self {
        Error::Rejected {
            reason,
            field: Some(field.to_owned()),
            text: format!("{field}: {rule}"),
        }
    }

    /// An error about a query parameter that the operation does not take, or takes once.
    pub fn of_parameter(name: &str, rule: &str) -> Self {
        Error::Rejected {
            reason: Reason::UnknownParameter,
            field: Some(name.to_owned()),
            text: format!("query parameter \"{name}\": {rule}"),
        }
    }

    /// An error about no field.
    pub fn rejected(reason: Reason, text: impl Into<String>) -> Self {
        Error::Rejected {
            reason,
            field: None,
            text: text.into(),
        }
    }

    /// A broken rule, from a text that may begin with the path of a field, as in `broker.url: is required`. The
    /// reason is that something is missing, or that it is invalid.
    pub fn broken(rule: impl std::fmt::Display) -> Self {
        let text = rule.to_string();
        let is_path = |field: &&str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
            !field.is_empty() && field.chars().all(is_part)
        };
        let (field, rule) = text.split_once(": ").unzip();
        let is_missing = rule.is_some_and(|rule| rule.starts_with("is required"));
        Error::Rejected {
            reason: match is_missing {
                true => Reason::Required,
                false => Reason::Invalid,
            },
            field: field.filter(is_path).map(ToOwned::to_owned),
            text,
        }
    }

    /// The same error about a field within another one: `name: ...` becomes `administrator.name: ...`.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        match self {
            Error::Rejected {
                reason,
                field,
                text,
            } => Error::Rejected {
                reason,
                field: Some(match field {
                    Some(field) => format!("{outer}.{field}"),
                    None => outer.to_owned(),
                }),
                text: format!("{outer}.{text}"),
            },
            other => other,
        }
    }

    /// `there is no <what> "<which>"`.
    pub fn missing(what: &str, which: impl std::fmt::Display) -> Self {
        Error::NotFound(format!("there is no {what} \"{which}\""))
    }

    /// A dependency is unavailable; the caller should retry after a moment.
    pub fn away(what: &str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::Unavailable {
            reason: Reason::Unavailable,
            what: what.to_owned(),
            retry_after_s: 2,
            source: Some(source.into()),
        }
    }

    /// A dependency is unavailable, without a cause for the log.
    pub fn silent(what: &str) -> Self {
        Self::later(Reason::Unavailable, what)
    }

    /// The hub has no capacity for more work now.
    pub fn overloaded(what: &str) -> Self {
        Self::later(Reason::Overloaded, what)
    }

    /// The hub is shutting down.
    pub fn shutting_down() -> Self {
        Self::later(Reason::ShuttingDown, "the hub is shutting down")
    }

    fn later(reason: Reason, what: &str) -> Self {
        Error::Unavailable {
            reason,
            what: what.to_owned(),
            retry_after_s: 1,
            source: None,
        }
    }

    /// The reason, which a program can compare.
    pub fn reason(&self) -> Reason {
        match self {
            Error::Rejected { reason, .. } | Error::Unavailable { reason, .. } => *reason,
            Error::Unauthenticated | Error::WrongIngestKey => Reason::Unauthenticated,
            Error::Expired(_) => Reason::Expired,
            Error::Forbidden(_) => Reason::Forbidden,
            Error::NotFound(_) => Reason::NotFound,
            Error::NoSuchPath => Reason::NoSuchPath,
            Error::MethodNotAllowed { .. } => Reason::MethodNotAllowed,
            Error::Internal(_) => Reason::Internal,
        }
    }

    /// True if the request itself breaks a rule, whatever the state of the hub is.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Error::Rejected { reason, .. } if !reason.is_conflict())
    }

    /// True if the request conflicts with the current state.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Error::Rejected { reason, .. } if reason.is_conflict())
    }

    /// The error with its causes, in one line, for an operator. An internal fault is its cause alone: the text of the
    /// fault itself is for clients.
    pub fn causes(&self) -> String {
        match self {
            Error::Internal(source) => causes(source.as_ref()),
            other => causes(other),
        }
    }

    /// Copies the error for another caller; its causes become text because they cannot be cloned.
    pub fn echo(&self) -> Self {
        match self {
            Error::Rejected {
                reason,
                field,
                text,
            } => Error::Rejected {
                reason: *reason,
                field: field.clone(),
                text: text.clone(),
            },
            Error::Unauthenticated => Error::Unauthenticated,
            Error::Expired(what) => Error::Expired(what),
            Error::WrongIngestKey => Error::WrongIngestKey,
            Error::Forbidden(text) => Error::Forbidden(text.clone()),
            Error::NotFound(text) => Error::NotFound(text.clone()),
            Error::NoSuchPath => Error::NoSuchPath,
            Error::MethodNotAllowed { allowed } => Error::MethodNotAllowed {
                allowed: allowed.clone(),
            },
            Error::Unavailable {
                reason,
                what,
                retry_after_s,
                source,
            } => Error::Unavailable {
                reason: *reason,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(error: Error) -> (Option<String>, String) {
        match error {
            Error::Rejected { field, text, .. } => (field, text),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_field_is_read_from_a_rule_and_moves_with_it() {
        let broken = Error::broken("broker.topics[0]: must not be empty");
        let (field, text) = parts(broken.within("settings"));
        assert_eq!(field.as_deref(), Some("settings.broker.topics[0]"));
        assert_eq!(text, "settings.broker.topics[0]: must not be empty");
        let (field, _) = parts(Error::broken("this is no JSON: line 1"));
        assert_eq!(field, None);
        let missing = Error::broken("broker.url: is required");
        assert_eq!(missing.reason(), Reason::Required);
        let broken = Error::broken("broker.url: must start with mqtts://");
        assert_eq!(broken.reason(), Reason::Invalid);
    }
}
