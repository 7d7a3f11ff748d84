//! Steps that declare the request headers of all operations of a kind.

use serde_json::{Value, json};

use super::walk::each_operation;
use crate::api::http::idempotency;

const IF_MATCH: &str = "ETag of the version that you read, with or without quotes, or several ETags separated by \
commas. The request fails with 400 if the resource has been changed since. `*` or no header: the request applies to \
any version.";

const IDEMPOTENCY_KEY: &str = "Key of your choice for this request, such as a UUID: printable ASCII characters, \
without spaces at either end. The successful response is stored for 24 hours: a repeated request with the same key \
returns it and is not executed again. Fails with 400 if the key was used for another request, or while the first \
request is being processed. A request that failed can be repeated with the same key.";

/// Operations that change a resource with an ETag at another path, or create a part of it: they honour the ETag of the
/// resource.
const OF_RESOURCE: &[&str] = &[
    "create_ingest_key",
    "create_integration_key",
    "create_device_labels",
    "delete_device_label",
    "create_downlink",
    "delete_downlink",
    "change_own_password",
];

/// Declares `If-Match` on operations that honour a resource's ETag, and `Idempotency-Key` on those that create
/// something.
pub fn add(document: &mut Value) {
    let tagged: Vec<String> = document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, methods)| methods["get"]["responses"]["200"]["headers"]["ETag"].is_object())
        .map(|(path, _)| path.clone())
        .collect();
    let parameters = &mut document["components"]["parameters"];
    parameters["IfMatch"] = json!({
        "name": "If-Match",
        "in": "header",
        "description": IF_MATCH,
        "required": false,
        "schema": {"type": "string", "pattern": r#"^(\*|"?[0-9]{1,18}"?(, ?"?[0-9]{1,18}"?)*)$"#, "maxLength": 200, "example": "*"},
    });
    parameters["IdempotencyKey"] = json!({
        "name": idempotency::HEADER,
        "in": "header",
        "description": IDEMPOTENCY_KEY,
        "required": false,
        "schema": {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$", "minLength": 1, "maxLength": idempotency::KEY_MAX},
    });
    each_operation(document, |path, method, operation| {
        let takes_token = operation["security"]
            .as_array()
            .is_some_and(|schemes| schemes.iter().any(|scheme| scheme["token"].is_array()));
        let is_tagged = tagged.iter().any(|tagged| tagged == path);
        let id = operation["operationId"].as_str().unwrap_or_default();
        if (matches!(method, "put" | "delete") && is_tagged) || OF_RESOURCE.contains(&id) {
            declare(operation, "IfMatch");
        }
        if method == "post" && takes_token {
            declare(operation, "IdempotencyKey");
        }
    });
}

fn declare(operation: &mut Value, name: &str) {
    let parameter = json!({"$ref": format!("#/components/parameters/{name}")});
    match operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
    {
        Some(parameters) => parameters.push(parameter),
        None => operation["parameters"] = json!([parameter]),
    }
}
