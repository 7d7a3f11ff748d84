//! Step that lists the errors of each operation: status, reason, cause and an example of the message.
//!
//! An operation's list has three parts: what the resource declares itself (`errors.rs` in its folder), what follows
//! from the operation's parameters, body and security, and what every operation can answer.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::{Value, json};

use super::{guide_links::origin, pages::guide::PATH, walk::each_operation};
use crate::{api::http::declared_error::DeclaredError, error::Reason};

/// Extension with the list of an operation's errors, and with the list of all reasons at the root.
const EXTENSION: &str = "x-error-reasons";

/// An error with its cause and an example of its message.
type Listed = (Reason, &'static str, &'static str);

/// Errors that every operation can answer. They are listed once, in the guide.
const OF_ALL: [Listed; 9] = [
    (
        Reason::Malformed,
        "The request is no valid HTTP.",
        "the request is malformed",
    ),
    (
        Reason::PlainHttp,
        Reason::PlainHttp.cause(),
        "this is plain HTTP: use https://",
    ),
    (
        Reason::TooLarge,
        "The URL has 64 KiB or more, or the head of the request more than 128 KiB or more than 100 headers.",
        "the URL must have less than 64 KiB",
    ),
    (
        Reason::UnknownParameter,
        Reason::UnknownParameter.cause(),
        "query parameter \"colour\": is unknown here",
    ),
    (
        Reason::Invalid,
        "The request names no host, several hosts or an invalid one.",
        "header Host: must be a host, with or without a port",
    ),
    (
        Reason::Internal,
        Reason::Internal.cause(),
        "an unexpected fault inside the hub; the log has it under this request's id",
    ),
    (
        Reason::Unavailable,
        Reason::Unavailable.cause(),
        "the database cannot be reached; try again",
    ),
    (
        Reason::Overloaded,
        Reason::Overloaded.cause(),
        "too many requests of this address at a time (setting address_requests_max)",
    ),
    (
        Reason::ShuttingDown,
        Reason::ShuttingDown.cause(),
        "the hub is shutting down",
    ),
];

/// Lists the errors of each operation in its description and in an extension.
/// With `public_url` the links to the guide are absolute.
pub fn add(document: &mut Value, declared: &[&[DeclaredError]], public_url: Option<&str>) {
    document[EXTENSION] = Reason::ALL
        .iter()
        .map(|reason| {
            json!({"reason": reason.word(), "status": reason.status(), "cause": reason.cause()})
        })
        .collect();
    let parameters = document["components"]["parameters"].clone();
    let schemas = document["components"]["schemas"].clone();
    let guide = format!("{}{PATH}/errors", origin(public_url));
    each_operation(document, |_, _, operation| {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let own = declared
            .iter()
            .copied()
            .flatten()
            .filter(|error| error.operations.contains(&id))
            .map(|error| (error.reason, error.cause, error.message));
        let mut listed: Vec<Listed> = own.collect();
        let follows = [
            of_security(operation),
            of_body(operation, &schemas),
            of_parameters(operation, &parameters),
        ];
        for error in follows.concat() {
            // A reason is listed once; what the resource declares is the most specific.
            if listed.iter().all(|(reason, ..)| *reason != error.0) {
                listed.push(error);
            }
        }
        listed.sort_by_key(|(reason, ..)| *reason);
        let description = operation["description"].as_str().unwrap_or_default();
        operation["description"] = format!("{description}\n\n{}", table(&listed, &guide)).into();
        let shared = OF_ALL
            .iter()
            .filter(|(reason, ..)| listed.iter().all(|(own, ..)| own != reason));
        let shared = shared.map(|error| (error, true));
        let own = listed.iter().map(|error| (error, false));
        operation[EXTENSION] = own.chain(shared).map(entry).collect();
    });
}

/// Describes an error of an operation. What all operations share is described at the root.
fn entry(((reason, cause, message), is_shared): (&Listed, bool)) -> Value {
    let (status, reason) = (reason.status(), reason.word());
    match is_shared {
        true => json!({"status": status, "reason": reason, "shared": true}),
        false => json!({"status": status, "reason": reason, "cause": cause, "message": message}),
    }
}

fn table(listed: &[Listed], guide: &str) -> String {
    let mut table = format!("**Errors**, beside [those of every operation]({guide})");
    if listed.is_empty() {
        return table + ": none.";
    }
    table += ":\n\n| Status | Reason | Cause | Example message |\n|---|---|---|---|";
    for (reason, cause, message) in listed {
        // Markdown takes `<token>` for HTML.
        let message = message.replace('|', "\\|").replace('<', "&lt;");
        let (status, word) = (reason.status(), reason.word());
        let _ = write!(table, "\n| {status} | `{word}` | {cause} | {message} |");
    }
    table
}

fn of_security(operation: &Value) -> Vec<Listed> {
    const NO_TOKEN: Listed = (
        Reason::Unauthenticated,
        "The request has no valid token.",
        "a valid token is required: send it as \"Authorization: Bearer <token>\"",
    );
    const NO_INGEST_KEY: Listed = (
        Reason::Unauthenticated,
        "The request has no valid ingest key of this network connection, or there is no such connection.",
        "a valid ingest key of this network connection is required: send it as \"Authorization: Bearer \
         <ingest key>\", in the header X-Ingest-Key or as the query parameter ingest_key",
    );
    const EXPIRED: Listed = (
        Reason::Expired,
        "The session or the API key has expired.",
        "this API key has expired",
    );
    const FORBIDDEN: Listed = (
        Reason::Forbidden,
        Reason::Forbidden.cause(),
        "the API key's scopes do not include this",
    );
    let schemes = || operation["security"].as_array().into_iter().flatten();
    if schemes().any(|scheme| scheme["token"].is_array()) {
        return vec![NO_TOKEN, EXPIRED, FORBIDDEN];
    }
    match schemes().next() {
        Some(_) => vec![NO_INGEST_KEY],
        None => Vec::new(),
    }
}

fn of_parameters(operation: &Value, shared: &Value) -> Vec<Listed> {
    let mut listed = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let reference = parameter["$ref"].as_str();
        let name = reference.and_then(|at| at.rsplit('/').next());
        let parameter = name.map_or(parameter, |name| &shared[name]);
        match (parameter["in"].as_str(), parameter["name"].as_str()) {
            (_, Some("If-Match")) => listed.push((
                Reason::StaleRevision,
                Reason::StaleRevision.cause(),
                "header If-Match: it has been changed since; its ETag is \"8\" now",
            )),
            (_, Some("Idempotency-Key")) => listed.extend([
                (
                    Reason::IdempotencyKeyReused,
                    Reason::IdempotencyKeyReused.cause(),
                    "header Idempotency-Key: was used for another request before: use a new key",
                ),
                (
                    Reason::IdempotencyKeyPending,
                    Reason::IdempotencyKeyPending.cause(),
                    "header Idempotency-Key: the first request with this key has not been answered yet",
                ),
            ]),
            (Some("path"), _) => listed.push((
                Reason::NotFound,
                Reason::NotFound.cause(),
                "there is no such resource",
            )),
            (Some("query"), _) if parameter["required"] == json!(true) => listed.push((
                Reason::Required,
                "A query parameter that the operation requires is missing.",
                "labels: is required",
            )),
            _ => {}
        }
        let example = match parameter["name"].as_str() {
            Some("Idempotency-Key") => {
                "header Idempotency-Key: must have 1 to 255 printable ASCII characters"
            }
            _ => "limit: must be an integer from 1 to 1000",
        };
        listed.push((
            Reason::Invalid,
            "A parameter breaks the rule of its schema.",
            example,
        ));
    }
    let is_ingest = operation["security"]
        .as_array()
        .is_some_and(|schemes| schemes.iter().all(|scheme| scheme["token"].is_null()));
    // A wrong key and a missing connection have the same answer.
    listed.retain(|(reason, ..)| *reason != Reason::NotFound || !is_ingest);
    listed
}

fn of_body(operation: &Value, schemas: &Value) -> Vec<Listed> {
    const LATE: Listed = (
        Reason::BodyTimeout,
        Reason::BodyTimeout.cause(),
        "body: did not arrive within 15 s",
    );
    let content = &operation["requestBody"]["content"];
    if content.is_null() {
        return vec![
            (
                Reason::UnexpectedBody,
                Reason::UnexpectedBody.cause(),
                "body: this operation takes no body",
            ),
            LATE,
        ];
    }
    let mut listed = vec![
        (
            Reason::Malformed,
            "The body is no valid JSON, or no valid compressed data.",
            "body: is not valid JSON: EOF while parsing a value at line 1 column 0",
        ),
        (
            Reason::UnsupportedMediaType,
            Reason::UnsupportedMediaType.cause(),
            "header Content-Type: must be application/json",
        ),
        (
            Reason::TooLarge,
            Reason::TooLarge.cause(),
            "body: must have at most 1048576 bytes",
        ),
        LATE,
        (
            Reason::Invalid,
            "A parameter, or a member of the body, breaks the rule of its schema.",
            "name: must have 1 to 120 characters",
        ),
    ];
    let schema = &content["application/json"]["schema"];
    if is_closed(schema, schemas) {
        listed.push((
            Reason::UnknownMember,
            Reason::UnknownMember.cause(),
            "colour: is unknown here",
        ));
    }
    if requires_members(schema, schemas, &mut BTreeSet::new()) {
        listed.push((
            Reason::Required,
            "A member that the schema requires is missing.",
            "name: is required",
        ));
    }
    listed
}

/// True if the schema, or a schema within it, requires a member.
fn requires_members<'a>(
    schema: &'a Value,
    schemas: &'a Value,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    match schema {
        Value::Object(parts) => parts.iter().any(|(key, part)| {
            let name = part.as_str().and_then(|at| at.rsplit('/').next());
            match (key.as_str(), name) {
                ("required", _) => part.is_array(),
                ("$ref", Some(name)) => {
                    seen.insert(name) && requires_members(&schemas[name], schemas, seen)
                }
                ("example" | "default", _) => false,
                _ => requires_members(part, schemas, seen),
            }
        }),
        Value::Array(parts) => parts
            .iter()
            .any(|part| requires_members(part, schemas, seen)),
        _ => false,
    }
}

/// True if the body's schema lists its members.
fn is_closed(schema: &Value, schemas: &Value) -> bool {
    let name = schema["$ref"].as_str().and_then(|at| at.rsplit('/').next());
    let schema = name.map_or(schema, |name| &schemas[name]);
    schema["properties"].is_object() || schema["oneOf"].is_array() || schema["anyOf"].is_array()
}
