//! Id of a request, which connects its response with its log lines.

use poem::{
    Request,
    http::{HeaderName, HeaderValue},
};

use crate::id::new_uuid;

/// Name of the header with the request's id.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is accepted from the client, in bytes.
const LENGTH_MAX: usize = 64;

/// Id of a request, as it appears in the log and in the response.
#[derive(Clone)]
pub struct RequestId(pub HeaderValue);

impl RequestId {
    /// Returns the client's own id if it is a plain token, or a new one.
    pub fn take(request: &Request) -> Self {
        let given = request.headers().get(HEADER).filter(|id| {
            let plain =
                |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            !id.is_empty() && id.len() <= LENGTH_MAX && id.as_bytes().iter().all(plain)
        });
        let new = || {
            HeaderValue::try_from(new_uuid().to_string())
                .unwrap_or_else(|_| HeaderValue::from_static("-"))
        };
        Self(given.cloned().unwrap_or_else(new))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Returns the id that the outermost layer gave the request.
pub fn of(request: &Request) -> &str {
    let id: Option<&RequestId> = request.data();
    id.map(RequestId::as_str).unwrap_or_default()
}
