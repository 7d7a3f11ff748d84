//! Replacement for the responses that the HTTP library sends by itself.
//!
//! The library answers an unreadable HTTP/1 request with a bare 400, 414 or 431 and closes the connection, and
//! offers no hook to change that. So its response is replaced with the error object while it is written. It is
//! recognized as the complete content of one write; no response of the hub looks like it, because none of them
//! is empty.

use bytes::Bytes;
use poem::http::StatusCode;
use serde_json::json;

use crate::{error::Reason, id::new_uuid};

/// Longest response of the library itself, in bytes.
const LENGTH_MAX: usize = 256;

/// Returns the replacement for a response of the library; `None` for all other writes.
pub fn instead_of(written: &[u8]) -> Option<Bytes> {
    if written.len() > LENGTH_MAX || !written.starts_with(b"HTTP/1.") {
        return None;
    }
    let text = std::str::from_utf8(written).ok()?;
    let (status, headers) = text.strip_suffix("\r\n\r\n")?.split_once("\r\n")?;
    let (reason, error) = match status.get("HTTP/1.1 ".len()..)? {
        "400 Bad Request" => (Reason::Malformed, "this is no valid HTTP request"),
        "414 URI Too Long" => (Reason::TooLarge, "the URL must have less than 64 KiB"),
        "431 Request Header Fields Too Large" => (
            Reason::TooLarge,
            "the head of a request must have at most 100 headers and 128 KiB",
        ),
        _ => return None,
    };
    let mut date = None;
    for header in headers.split("\r\n") {
        match header.split_once(": ")? {
            ("connection", "close") | ("content-length", "0") => {}
            ("date", when) => date = Some(when),
            _ => return None,
        }
    }
    let status = StatusCode::BAD_REQUEST;
    let body = json!({"code": status.as_u16(), "error": error}).to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\nx-request-id: {}\r\n\
         x-error-reason: {}\r\nx-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\
         content-length: {}\r\ndate: {}\r\n\r\n{body}",
        new_uuid(),
        reason.word(),
        body.len(),
        date?
    );
    Some(answer.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "date: Sat, 28 Nov 2026 05:37:45 GMT";

    #[test]
    fn the_library_s_own_answers_get_the_error_object() {
        for status in [
            "400 Bad Request",
            "414 URI Too Long",
            "431 Request Header Fields Too Large",
        ] {
            let own = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n{DATE}\r\n\r\n"
            );
            let answer = instead_of(own.as_bytes()).unwrap();
            let answer = std::str::from_utf8(&answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
            assert!(head.ends_with(DATE), "{head}");
            assert!(
                head.contains(&format!("content-length: {}\r\n", body.len())),
                "{head}"
            );
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["code"], 400);
        }
    }

    #[test]
    fn nothing_else_is_touched() {
        let rest = format!("connection: close\r\ncontent-length: 0\r\n{DATE}\r\n\r\n");
        for other in [
            "",
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1 200 OK\r\n{}",
            "HTTP/1.1 400 Bad Request\r\nx-request-id: a\r\n{}",
            "HTTP/1.1 400 Bad Request\r\n{}more",
            "x HTTP/1.1 400 Bad Request\r\n{}",
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        ] {
            let other = other.replace("{}", &rest);
            assert_eq!(instead_of(other.as_bytes()), None, "{other}");
        }
    }
}
