//! The id of a request, by which its answer and its lines in the log are found.

use poem::{
    Request,
    http::{HeaderName, HeaderValue},
};

use crate::id::new_uuid;

/// The header that names a request.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over from the client.
const LENGTH_MAX: usize = 64;

/// The request's id, as it is in the log and in the answer.
#[derive(Clone)]
pub struct RequestId(pub HeaderValue);

impl RequestId {
    /// The client's own id where it is a plain token, or a new one.
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

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// The id that the edge has given the request.
pub fn of(request: &Request) -> &str {
    let id: Option<&RequestId> = request.data();
    id.map(RequestId::as_str).unwrap_or_default()
}
