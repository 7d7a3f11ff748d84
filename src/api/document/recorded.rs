//! Recorded requests and responses: the examples of the document. `make record-story` sends the requests in
//! `openapi/story` to a hub and writes them, with what it answered, to `openapi/examples.json`.

use serde::Deserialize;
use serde_json::{Map, Value};

/// The recorded examples, by operation. They are part of the program, which runs without the repository.
const RECORDED: &str = include_str!("../../../openapi/examples.json");

/// A request that succeeded, with its response.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    pub name: String,
    pub summary: String,
    pub request: RecordedRequest,
    pub status: u16,
    /// Media type of the response.
    pub media_type: String,
    pub response: Value,
}

/// The request of an example.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedRequest {
    /// Environment variable with the token or key; `None` if the operation needs none.
    pub auth: Option<String>,
    #[serde(default)]
    pub path: Map<String, Value>,
    #[serde(default)]
    pub query: Map<String, Value>,
    pub media_type: Option<String>,
    pub body: Option<Value>,
    /// Name of the file that contains the body, if it is not JSON.
    pub file: Option<String>,
    /// Name of the file for a binary response.
    pub save_as: Option<String>,
}

/// Examples of every operation. The first one of an operation is also its code sample.
pub struct Examples(Map<String, Value>);

impl Examples {
    /// Reads the recorded examples.
    pub fn read() -> Self {
        Self(serde_json::from_str(RECORDED).unwrap_or_default())
    }

    /// Returns the examples of an operation.
    pub fn of(&self, operation: &Value) -> Vec<Recorded> {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let recorded = self.0.get(id).cloned().unwrap_or_default();
        serde_json::from_value(recorded).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_example_can_be_read() {
        let examples = Examples::read();
        assert!(!examples.0.is_empty());
        for (operation, recorded) in examples.0 {
            let read = serde_json::from_value::<Vec<Recorded>>(recorded);
            assert!(!read.expect(&operation).is_empty(), "{operation}");
        }
    }
}
