//! The error object, and the only mapping from errors to status codes.
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
use crate::error::{Error, Logged, causes};

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

/// Returns the status code of an error.
pub fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::Invalid(_) | Error::Conflict(_) => StatusCode::BAD_REQUEST,
        Error::Unauthenticated | Error::WrongIngestKey => StatusCode::UNAUTHORIZED,
        Error::Forbidden(_) => StatusCode::FORBIDDEN,
        Error::NotFound(_) => StatusCode::NOT_FOUND,
        Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    }
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
    match error {
        Error::Unauthenticated | Error::WrongIngestKey => {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Error::Unavailable { retry_after_s, .. } => {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
        }
        _ => {}
    }
    response.set_data(IsErrorObject);
    response
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
        return Error::field(operation.path_parameter(error.name), rule(&error.reason));
    }
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return Error::field(error.name, rule(&error.reason));
    }
    of_status(error.status())
}

/// Returns the error for a bare status code of the framework.
pub fn of_status(status: StatusCode) -> Error {
    match status {
        StatusCode::UNAUTHORIZED => Error::Unauthenticated,
        StatusCode::FORBIDDEN => Error::Forbidden("this is not allowed".to_owned()),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Error::NotFound("there is no such path, or it does not take this method".to_owned())
        }
        status if status.is_client_error() => Error::Invalid("the request is malformed".to_owned()),
        status => Error::internal(format!("the framework answered {status}")),
    }
}

/// Removes the type's name, which poem-openapi puts before the rule, and the context behind it: clients do not
/// know the hub's types.
fn rule(reason: &str) -> &str {
    let reason = reason
        .split_once(" (occurred while parsing")
        .map_or(reason, |(reason, _)| reason);
    match reason.split_once("\": ") {
        Some((_, rule)) => rule,
        None => "is required",
    }
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
