//! The reasons of errors: each operation answers those that it lists.
//!
//! The runs of all tests together tell which reasons were received (`scripts/check-reasons`); here are those that no
//! other test needs.

mod keys;
mod requests;
mod resources;

use reqwest::{Body, Method, RequestBuilder};
use serde_json::Value;

use super::document::{needs_token, operations};
use crate::support::server::{Answer, Hub};

/// An operation with a path that leads to no resource.
struct Operation {
    method: Method,
    path: String,
    declared: Value,
}

impl Operation {
    pub fn all() -> Vec<Self> {
        operations()
            .into_iter()
            .map(|(method, path, declared)| Self {
                method,
                path,
                declared,
            })
            // Its key comes first, and a key belongs to a connection that exists.
            .filter(|operation| operation.id() != "create_uplink")
            .collect()
    }

    pub fn id(&self) -> &str {
        self.declared["operationId"].as_str().unwrap()
    }

    /// True if it lists the reason as one of its own.
    pub fn lists(&self, reason: &str) -> bool {
        let listed = self.declared["x-error-reasons"].as_array().unwrap();
        let is_own = |entry: &&Value| entry["shared"] != true && entry["reason"] == reason;
        listed.iter().any(|entry| is_own(&entry))
    }

    /// Media type of its request body.
    pub fn media_type(&self) -> Option<&str> {
        let content = self.declared["requestBody"]["content"].as_object()?;
        content.keys().next().map(String::as_str)
    }

    pub fn request(&self, hub: &Hub) -> RequestBuilder {
        let request = hub.request(self.method.clone(), &self.path);
        match needs_token(&self.declared) {
            true => request.bearer_auth(&hub.token),
            false => request,
        }
    }

    /// A request with a body of the type that the operation declares.
    pub fn with_body(&self, hub: &Hub, body: impl Into<Body>) -> RequestBuilder {
        let media_type = self.media_type().unwrap_or("application/json");
        self.request(hub)
            .header("Content-Type", media_type)
            .body(body)
    }
}

fn reason(answer: &Answer) -> &str {
    let reason = answer.headers.get("x-error-reason");
    reason.map_or("none", |reason| reason.to_str().unwrap())
}

/// Sends a request of each operation that lists the reason, and demands one of these reasons.
async fn demand(
    hub: &Hub,
    listed: &str,
    answered: &[&str],
    send: impl Fn(&Operation) -> Option<RequestBuilder>,
) {
    let mut count = 0;
    for operation in Operation::all() {
        if !operation.lists(listed) {
            continue;
        }
        let Some(request) = send(&operation) else {
            continue;
        };
        let answer = hub.answer(request).await;
        let (id, text) = (operation.id(), &answer.text);
        assert!(answered.contains(&reason(&answer)), "{id}: {text}");
        count += 1;
    }
    assert!(count > 15, "{listed}: {count} operations alone");
}
