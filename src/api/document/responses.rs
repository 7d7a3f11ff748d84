//! Steps that declare the responses which all operations share.

use serde_json::{Value, json};

use super::walk::each_operation;
use crate::error::Reason;

/// Status code, name of the shared response, description, and an example of the error text.
const ERRORS: [(&str, &str, &str, &str); 6] = [
    (
        "400",
        "BadRequest",
        "The request is malformed or invalid, or not possible in the current state. The text names the field and \
         the rule that was broken.",
        "name: must have 1 to 120 characters",
    ),
    (
        "401",
        "Unauthorized",
        "The token or key is missing, invalid or expired.",
        "a valid token is required: send it as \"Authorization: Bearer <token>\"",
    ),
    (
        "403",
        "Forbidden",
        "The caller is authenticated, but not allowed to do this.",
        "your role may only read",
    ),
    (
        "404",
        "NotFound",
        "The resource does not exist, or belongs to another tenant.",
        "there is no device \"am102\"",
    ),
    (
        "500",
        "InternalError",
        "An unexpected fault occurred inside the hub. The hub's log contains the details under the request's id.",
        "an unexpected fault inside the hub; the log has it under this request's id",
    ),
    (
        "503",
        "Unavailable",
        "A service that the hub needs is unavailable, or the hub is overloaded or shutting down. Repeat the request \
         after the number of seconds in `Retry-After`.",
        "the database cannot be reached; try again",
    ),
];

/// Declares the error responses, once as shared components and by reference in the operations. The framework
/// only declares what handlers return.
pub fn add_errors(document: &mut Value) {
    document["components"]["schemas"]["Error"] = json!({
        "type": "object",
        "description": "Body of every response with a status code of 400 or above.",
        "required": ["code", "error"],
        "properties": {
            "code": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 503, "example": 400,
                     "description": "HTTP status code of the response."},
            "error": {"type": "string", "minLength": 1, "maxLength": 400, "example": ERRORS[0].3,
                      "description": "Description of the problem for people. Names the field and the rule that was \
                                      broken."},
        },
        "additionalProperties": false,
    });
    let words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.word()).collect();
    document["components"]["headers"]["ErrorReason"] = json!({
        "description": "Reason of the error, for programs. The errors of each operation list the reasons that it can send.",
        "required": true,
        "schema": {"type": "string", "enum": words, "example": "invalid"},
    });
    document["components"]["headers"]["ErrorField"] = json!({
        "description": "Member of the body, parameter or header at fault, if a single one is: the path of the member, \
                        such as `settings.broker.url`, or the name of the parameter or header.",
        "required": false,
        "schema": {"type": "string", "minLength": 1, "maxLength": 200, "example": "name"},
    });
    for (status, name, description, text) in ERRORS {
        let code: u16 = status.parse().unwrap_or_default();
        let mut response = json!({
            "description": description,
            "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "example": {"code": code, "error": text},
            }},
        });
        response["headers"]["X-Error-Reason"] = json!({"$ref": "#/components/headers/ErrorReason"});
        if status == "400" {
            response["headers"]["X-Error-Field"] =
                json!({"$ref": "#/components/headers/ErrorField"});
        }
        if status == "401" {
            response["headers"]["WWW-Authenticate"] = json!({
                "description": "Authentication scheme to use.", "required": true,
                "schema": {"type": "string", "example": "Bearer"},
            });
        }
        if status == "503" {
            response["headers"]["Retry-After"] = json!({
                "description": "Number of seconds to wait before the request is repeated.", "required": true,
                "schema": {"type": "string", "pattern": "^[0-9]+$", "example": "2"},
            });
        }
        document["components"]["responses"][name] = response;
    }
    each_operation(document, |path, _, operation| {
        let is_secured = operation["security"]
            .as_array()
            .is_some_and(|schemes| !schemes.is_empty());
        let is_ingest = path.ends_with("/uplinks") && operation["requestBody"].is_object();
        for (status, name, _, _) in ERRORS {
            let possible = match status {
                "401" => is_secured,
                "403" => is_secured && !is_ingest,
                "404" => path.contains('{') && !is_ingest,
                _ => true,
            };
            if possible {
                operation["responses"][status] =
                    json!({"$ref": format!("#/components/responses/{name}")});
            }
        }
    });
}

/// Declares each stream of server-sent events as text, and links the schema of one event, which is what the endpoint
/// declares. As its own schema it would make generated clients wait for the end of the stream and read it as JSON.
pub fn link_events(document: &mut Value) {
    each_operation(document, |_, _, operation| {
        let responses = operation["responses"].as_object_mut();
        for (_, response) in responses.into_iter().flatten() {
            let contents = response.get_mut("content").and_then(Value::as_object_mut);
            if let Some(stream) =
                contents.and_then(|contents| contents.get_mut("text/event-stream"))
            {
                stream["x-event-schema"] = stream["schema"].take();
                stream["schema"] = json!({"type": "string"});
            }
        }
    });
}

/// Declares `X-Request-Id` on every response.
pub fn add_request_id(document: &mut Value) {
    document["components"]["headers"]["RequestId"] = json!({
        "description": "Identifier of the request, which the hub's log contains as well. Taken from the request's own \
            `X-Request-Id` if that consists of 1 to 64 letters, digits, dashes, underscores and dots; otherwise \
            a new UUID.",
        "required": true,
        "schema": {"type": "string", "minLength": 1, "maxLength": 64, "example": "0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11"},
    });
    let reference = json!({"$ref": "#/components/headers/RequestId"});
    for response in document["components"]["responses"]
        .as_object_mut()
        .into_iter()
        .flatten()
        .map(|(_, v)| v)
    {
        response["headers"]["X-Request-Id"] = reference.clone();
    }
    each_operation(document, |_, _, operation| {
        for (_, response) in operation["responses"].as_object_mut().into_iter().flatten() {
            if response.get("$ref").is_none() {
                response["headers"]["X-Request-Id"] = reference.clone();
            }
        }
    });
}
