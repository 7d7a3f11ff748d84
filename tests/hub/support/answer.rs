//! An answer of the hub, held against the contract.

use reqwest::{Method, RequestBuilder, Response, header::HeaderMap};
use serde_json::Value;

use crate::support::reasons;

/// The statuses of the contract.
const STATUSES: [u16; 8] = [200, 201, 400, 401, 403, 404, 500, 503];

/// An answer of the hub, already held against the contract.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    /// Reads the response to a request and holds it against the contract.
    pub async fn read(method: &Method, path: &str, response: Response) -> Self {
        let what = format!("{method} {path}");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        assert!(STATUSES.contains(&status), "{what}: {status} {text}");
        assert!(headers.contains_key("x-request-id"), "{what}: {headers:?}");
        let body = serde_json::from_str(&text).unwrap_or_default();
        if status >= 400 && method != Method::HEAD {
            check_error_object(&what, status, &body, &text);
            let error = body["error"].as_str().unwrap_or_default();
            reasons::note(method.as_str(), path, status, &headers, error);
        }
        Self {
            status,
            headers,
            text,
            body,
        }
    }

    /// Asserts a 200 and returns the body.
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.body
    }

    /// Asserts a 201 that names the new resource's address, and returns the body.
    pub fn created(self) -> Value {
        assert_eq!(self.status, 201, "{}", self.text);
        let location = self.headers["location"].to_str().unwrap();
        assert!(location.starts_with("/api/v3/"), "{location}");
        self.body
    }

    /// Asserts an error with this status and returns its text.
    pub fn refused(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        self.body["error"].as_str().unwrap().to_owned()
    }
}

fn check_error_object(what: &str, status: u16, body: &Value, text: &str) {
    let members = body.as_object().map_or(0, serde_json::Map::len);
    let error = body["error"].as_str().unwrap_or_default();
    let is_one = members == 2 && body["code"] == status && !error.is_empty();
    assert!(is_one, "{what}: {status} without the error object: {text}");
}

/// A request with a JSON body.
pub trait WithJson {
    fn with_json(self, body: &Value) -> Self;
}

impl WithJson for RequestBuilder {
    fn with_json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json")
            .body(body.to_string())
    }
}
