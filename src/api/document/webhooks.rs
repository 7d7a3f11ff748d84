//! Steps for the messages that the hub sends to receivers.
//!
//! OpenAPI 3.0 has no `webhooks`; tools read `x-webhooks` in its place, which has the same form.

use serde_json::{Map, Value, json};

use crate::api::integrations::messages::Messages;

/// Headers of messages over HTTP, with the names of their shared parameters.
const PARAMETERS: [&str; 5] = [
    "WebhookId",
    "WebhookAttempt",
    "WebhookTimestamp",
    "WebhookSignature",
    "Traceparent",
];
/// Responses of a receiver, with the names of their shared descriptions.
const RESPONSES: [(&str, &str); 6] = [
    ("2XX", "MessageAccepted"),
    ("3XX", "MessageFailed"),
    ("4XX", "MessageFailed"),
    ("5XX", "MessageFailed"),
    ("429", "MessageDeferred"),
    ("503", "MessageDeferred"),
];

/// Moves the messages to `x-webhooks`, and adds what all of them share: the headers that the hub sends and the
/// responses of receivers.
pub fn add(document: &mut Value) {
    let Some(Value::Object(mut webhooks)) = document
        .as_object_mut()
        .and_then(|document| document.shift_remove("webhooks"))
    else {
        return;
    };
    for (name, methods) in &mut webhooks {
        for (_, operation) in methods.as_object_mut().into_iter().flatten() {
            complete(name, operation);
        }
    }
    document["x-webhooks"] = webhooks.into();
    share_parameters(&mut document["components"]["parameters"]);
    share_responses(&mut document["components"]["responses"]);
}

fn complete(name: &str, operation: &mut Value) {
    let reference =
        |place: &str, name: &str| json!({"$ref": format!("#/components/{place}/{name}")});
    operation["operationId"] = format!("receive_{name}").into();
    // The hub's authentication is a setting of each integration.
    operation["security"] = json!([]);
    operation["parameters"] = PARAMETERS
        .iter()
        .map(|parameter| reference("parameters", parameter))
        .collect();
    operation["responses"] = RESPONSES
        .iter()
        .map(|(status, response)| ((*status).to_owned(), reference("responses", response)))
        .collect::<Map<_, _>>()
        .into();
    let contents = operation["requestBody"]["content"].as_object_mut();
    for (_, content) in contents.into_iter().flatten() {
        content["examples"] = Messages::examples(name)
            .map(|(title, text)| {
                let value: Value = serde_json::from_str(text).unwrap_or_default();
                (title.to_owned(), json!({"value": value}))
            })
            .collect::<Map<_, _>>()
            .into();
    }
}

fn share_parameters(parameters: &mut Value) {
    parameters["WebhookId"] = json!({
        "name": "Webhook-Id",
        "in": "header",
        "description": "Identifier of the delivery (UUIDv7). It is the same in every attempt: discard a message whose \
            identifier you have seen before. `GET /api/v3/integrations/{id}/deliveries` lists deliveries by it.",
        "required": true,
        "schema": {"type": "string", "format": "uuid", "example": "0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11"},
    });
    parameters["WebhookAttempt"] = json!({
        "name": "Webhook-Attempt",
        "in": "header",
        "description": "Number of the attempt, counted from 1. More than 1 means that earlier attempts failed, or that \
            the delivery was sent again on demand.",
        "required": true,
        "schema": {"type": "integer", "format": "int32", "minimum": 1, "example": 1},
    });
    parameters["WebhookTimestamp"] = json!({
        "name": "Webhook-Timestamp",
        "in": "header",
        "description": "Time of the attempt in seconds since 1970-01-01T00:00:00Z. Sent only if the integration has a \
            signing secret. Refuse a message whose time differs from yours by more than some minutes.",
        "required": false,
        "schema": {"type": "integer", "format": "int64", "minimum": 1, "example": 1_769_862_600},
    });
    parameters["WebhookSignature"] = json!({
        "name": "Webhook-Signature",
        "in": "header",
        "description": "Signature by the Standard Webhooks scheme: `v1,` and the base64 of the HMAC-SHA-256 over \
            `<Webhook-Id>.<Webhook-Timestamp>.<body>`, with the bytes of the signing secret as the key. Sent only if the \
            integration has a signing secret. `docs/messages.md` has a program that verifies it.",
        "required": false,
        "schema": {"type": "string", "pattern": "^v1,[A-Za-z0-9+/]{43}=$",
            "example": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
    });
    parameters["Traceparent"] = json!({
        "name": "Traceparent",
        "in": "header",
        "description": "Trace and span of the attempt, as in W3C Trace Context. Sent only if the hub exports traces.",
        "required": false,
        "schema": {"type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$",
            "example": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    });
}

fn share_responses(responses: &mut Value) {
    responses["MessageAccepted"] = json!({
        "description": "The receiver took the message: it is delivered and not sent again. The body of the response is \
            not used.",
    });
    responses["MessageFailed"] = json!({
        "description": "The receiver did not take the message. The hub sends it again by the schedule of the integration \
            (`delivery.schedule_s`), not before the time in `Retry-After`; after the last attempt it is a dead letter. \
            Redirects are not followed and count as failures, and so does no response within `delivery.timeout_s`.",
        "headers": {"Retry-After": retry_after("Time for which the hub does not send this message again")},
    });
    responses["MessageDeferred"] = json!({
        "description": "The receiver is overloaded. As with any other failure the hub sends the message again; with \
            `Retry-After`, it also sends nothing else for the integration until then.",
        "headers": {"Retry-After": retry_after("Time for which the hub sends nothing for the integration")},
    });
}

fn retry_after(what: &str) -> Value {
    json!({
        "description": format!("{what}: seconds or an HTTP date. Longer times than an hour count as an hour."),
        "schema": {"type": "string", "example": "120"},
    })
}
