//! Check of operations that take no request body. A body would be ignored although its sender expects an
//! effect, so the request is refused unless the body is empty.

use poem::{Request, error::ReadBodyError};
use serde_json::{Map, Value};

use super::{body, bounds::BodyBounds, declaration};
use crate::error::{Error, Reason};

const RULE: &str = "this operation takes no body";

/// Number of bytes that are read to name an unexpected member in the error.
const READ_MAX: usize = 64 * 1024;

/// Refuses a body that is neither empty nor `{}`.
pub async fn check(request: &mut Request) -> Result<(), Error> {
    let body = request.take_body();
    if body.is_empty() {
        return Ok(());
    }
    let limit = BodyBounds::of(request)?.timeout;
    let bytes = match tokio::time::timeout(limit, body.into_bytes_limit(READ_MAX)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(ReadBodyError::PayloadTooLarge)) => {
            return Err(Error::of_field(Reason::UnexpectedBody, "body", RULE));
        }
        Ok(Err(_)) => return Err(body::broke_off()),
        Err(_) => return Err(body::late(limit)),
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    let members: Map<String, Value> = serde_json::from_slice(&bytes)
        .map_err(|_| Error::of_field(Reason::UnexpectedBody, "body", RULE))?;
    match members.keys().next() {
        None => Ok(()),
        Some(name) => {
            let name = declaration::shown(name);
            Err(Error::of_field(
                Reason::UnexpectedBody,
                &name,
                format!("is unknown here: {RULE}"),
            ))
        }
    }
}
