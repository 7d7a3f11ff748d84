//! The body of an operation that takes none. What it says would be ignored, and whoever sent it
//! believes that it was heeded: so it is refused, unless it says nothing.

use poem::{Request, error::ReadBodyError};
use serde_json::{Map, Value};

use super::{body, bounds::BodyBounds, declaration};
use crate::error::Error;

const RULE: &str = "this operation takes no body";

/// How much is read to name what is too much.
const READ_MAX: usize = 64 * 1024;

/// Refuses a body that holds anything: nothing at all and `{}` may be sent.
pub async fn check(request: &mut Request) -> Result<(), Error> {
    let body = request.take_body();
    if body.is_empty() {
        return Ok(());
    }
    let limit = BodyBounds::of(request)?.timeout;
    let bytes = match tokio::time::timeout(limit, body.into_bytes_limit(READ_MAX)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(ReadBodyError::PayloadTooLarge)) => return Err(Error::field("body", RULE)),
        Ok(Err(_)) => return Err(body::broke_off()),
        Err(_) => return Err(body::late(limit)),
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    let members: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|_| Error::field("body", RULE))?;
    match members.keys().next() {
        None => Ok(()),
        Some(name) => {
            let name = declaration::shown(name);
            Err(Error::field(&name, format!("is unknown here: {RULE}")))
        }
    }
}
