//! The error object, and the headers that tell a program what went wrong.
//!
//! Every failure, including the framework's own, leaves as `{"code", "error"}` with one of the documented
//! status codes. The framework's texts are replaced, because they name internals and repeat input.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use poem::{
    IntoResponse, Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    Object,
    error::{AuthorizationError, ParseParamError, ParsePathError},
};
use serde::Serialize;

use super::declaration::Operation;
use crate::error::{Error, Logged, Reason, causes};

/// Rule of a parameter that is missing.
const REQUIRED: &str = "is required";
/// Longest text of an error, in characters. It may name the client's input, but not repeat it at length.
const TEXT_MAX: usize = 400;

/// Body of every response with a status code of 400 or above.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "Error")]
pub struct ErrorObject {
    /// HTTP status code of the response.
    pub code: u16,
    /// Description of the problem for people. Names the field and the rule that was broken.
    pub error: String,
}

/// Marks a response that already is an error object.
#[derive(Clone, Copy)]
pub struct IsErrorObject;

/// Header with the reason of an error.
pub const REASON: &str = "x-error-reason";
/// Header with the member, parameter or header at fault.
pub const FIELD: &str = "x-error-field";
/// Longest value of [`FIELD`], in bytes. Longer ones are omitted.
const FIELD_MAX: usize = 200;

/// Returns the status code of an error.
pub fn status_of(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.reason().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Returns the response to an error, and logs the details that only operators may see.
pub fn respond(error: &Error) -> Response {
    log(error);
    let status = status_of(error);
    let mut text: String = error.to_string();
    if let Some((cut, _)) = text.char_indices().nth(TEXT_MAX) {
        text.truncate(cut);
    }
    let body = ErrorObject {
        code: status.as_u16(),
        error: text,
    };
    let mut response = poem::web::Json(body).into_response();
    response.set_status(status);
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(error.reason().word()));
    match error {
        Error::Unauthenticated | Error::Expired(_) | Error::WrongIngestKey => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Error::Unavailable { retry_after_s, .. } => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
        }
        Error::MethodNotAllowed { allowed } => {
            if let Ok(allowed) = HeaderValue::try_from(allowed) {
                headers.insert(header::ALLOW, allowed);
            }
        }
        Error::Rejected {
            field: Some(field), ..
        } => {
            if let Some(field) = field_header(field) {
                headers.insert(FIELD, field);
            }
        }
        _ => {}
    }
    response.set_data(IsErrorObject);
    response
}

/// Returns a field as the value of a header; `None` if it cannot be one: a client may have made it up.
fn field_header(field: &str) -> Option<HeaderValue> {
    let header = field.strip_prefix("header ");
    let field = header
        .filter(|name| name.starts_with(char::is_uppercase))
        .unwrap_or(field)
        .trim();
    let is_plain =
        field.len() <= FIELD_MAX && field.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    HeaderValue::from_str(field)
        .ok()
        .filter(|_| is_plain && !field.is_empty())
}

fn log(error: &Error) {
    match error {
        Error::Internal(source) => tracing::error!(
            cause = causes(source.as_ref()),
            "request failed inside the hub"
        ),
        Error::Unavailable {
            what,
            source: Some(source),
            ..
        } if !source.is::<Logged>() => {
            tracing::warn!(cause = causes(source.as_ref()), "request put off: {what}");
        }
        Error::Unavailable {
            what, source: None, ..
        } => {
            if let Some(left_out) = rejection_log().admit(what, Instant::now()) {
                tracing::warn!(left_out, "request put off: {what}");
            }
        }
        _ => {}
    }
}

/// Rate limit on log lines about rejected requests: one per reason and [`QUIET`], because a hub that sheds load
/// must not create more of it.
struct RejectionLog(BTreeMap<String, (Instant, u64)>);

/// Period in which at most one line is logged per reason.
const QUIET: Duration = Duration::from_secs(10);
/// Maximum number of reasons that are counted separately.
const REASONS_MAX: usize = 100;

fn rejection_log() -> MutexGuard<'static, RejectionLog> {
    static LINES: Mutex<RejectionLog> = Mutex::new(RejectionLog(BTreeMap::new()));
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RejectionLog {
    /// Admits a log line and returns the number of lines suppressed before it; `None` if this line is
    /// suppressed, too.
    fn admit(&mut self, what: &str, now: Instant) -> Option<u64> {
        if let Some((since, left_out)) = self.0.get_mut(what) {
            if now.saturating_duration_since(*since) < QUIET {
                *left_out += 1;
                return None;
            }
            *since = now;
            return Some(std::mem::take(left_out));
        }
        if self.0.len() >= REASONS_MAX {
            self.0.clear();
        }
        self.0.insert(what.to_owned(), (now, 0));
        Some(0)
    }
}

impl ResponseError for Error {
    fn status(&self) -> StatusCode {
        status_of(self)
    }

    fn as_response(&self) -> Response {
        respond(self)
    }
}

/// Returns the response to any error of an operation.
pub fn respond_any(error: poem::Error, operation: &Operation) -> Response {
    match error.downcast::<Error>() {
        Ok(ours) => respond(&ours),
        Err(error) => respond(&translate(&error, operation)),
    }
}

fn translate(error: &poem::Error, operation: &Operation) -> Error {
    if error.is::<AuthorizationError>() {
        return match operation.takes_ingest_key {
            true => Error::WrongIngestKey,
            false => Error::Unauthenticated,
        };
    }
    if let Some(error) = error.downcast_ref::<ParsePathError>() {
        let name = operation.path_parameter(error.name);
        return Error::field(name, rule(&error.reason).unwrap_or(REQUIRED));
    }
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return match rule(&error.reason) {
            Some(rule) => Error::field(error.name, rule),
            None => Error::of_field(Reason::Required, error.name, REQUIRED),
        };
    }
    of_status(error.status())
}

/// Returns the error for a bare status code of the framework.
pub fn of_status(status: StatusCode) -> Error {
    match status {
        StatusCode::UNAUTHORIZED => Error::Unauthenticated,
        StatusCode::FORBIDDEN => Error::Forbidden("this is not allowed".to_owned()),
        StatusCode::NOT_FOUND => Error::NoSuchPath,
        status if status.is_client_error() => {
            Error::rejected(Reason::Malformed, "the request is malformed")
        }
        status => Error::internal(format!("the framework answered {status}")),
    }
}

/// Removes the type's name, which poem-openapi puts before the rule, and the context behind it: clients do not
/// know the hub's types. `None` if the parameter is missing.
fn rule(reason: &str) -> Option<&str> {
    let reason = reason
        .split_once(" (occurred while parsing")
        .map_or(reason, |(reason, _)| reason);
    reason.split_once("\": ").map(|(_, rule)| rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_one_line_a_while() {
        let mut lines = RejectionLog(BTreeMap::new());
        let start = Instant::now();
        assert_eq!(lines.admit("full", start), Some(0));
        for _ in 0..5 {
            assert_eq!(lines.admit("full", start), None);
        }
        assert_eq!(lines.admit("slow", start), Some(0));
        assert_eq!(lines.admit("full", start + QUIET), Some(5));
        for number in 0..10 * REASONS_MAX {
            lines.admit(&number.to_string(), start);
        }
        assert!(lines.0.len() <= REASONS_MAX);
    }
}
