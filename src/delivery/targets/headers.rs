//! Headers and statuses that targets and authorization servers share.

use hyper::header::HeaderValue;

use crate::error::{Error, Result};

/// "Too many requests" and "service unavailable": with these statuses `Retry-After` concerns the
/// receiver, not one message.
pub const PAUSING_STATUSES: [u16; 2] = [429, 503];

/// Returns a header value that is never logged.
pub fn sensitive(value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns the header value for HTTP basic authentication (RFC 7617).
pub fn basic(username: &str, password: &str) -> Result<HeaderValue> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    sensitive(&format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    ))
}
