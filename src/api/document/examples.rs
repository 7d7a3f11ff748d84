//! Adds the recorded examples to required parameters, and to the bodies of requests and responses.

use serde_json::{Value, json};

use super::{
    recorded::{Examples, RecordedRequest},
    walk::{each_object, each_operation},
};

/// Adds every recorded example of an operation to its request body and its response, and the values of the first
/// one to its required parameters.
pub fn add(document: &mut Value, examples: &Examples) {
    each_operation(document, |_, _, operation| {
        for (number, example) in examples.of(operation).into_iter().enumerate() {
            if number == 0 {
                add_to_parameters(operation, &example.request);
            }
            let show = |value: &Value| json!({"summary": example.summary, "value": value});
            if let Some(body) = &example.request.body {
                // A file is declared with one media type and accepted with several.
                let content = operation.pointer_mut("/requestBody/content");
                let content = content.and_then(Value::as_object_mut);
                if let Some((_, media)) = content.and_then(|content| content.iter_mut().next()) {
                    media["examples"][&example.name] = show(body);
                }
            }
            let place = format!(
                "/responses/{}/content/{}",
                example.status,
                example.media_type.replace('/', "~1")
            );
            if let Some(media) = operation.pointer_mut(&place) {
                media["examples"][&example.name] = show(&example.response);
            }
        }
    });
}

fn add_to_parameters(operation: &mut Value, request: &RecordedRequest) {
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let value = request.path.get(name).or_else(|| request.query.get(name));
        if parameter["required"] == true
            && let Some(value) = value.cloned()
        {
            parameter["example"] = value;
        }
    }
}

/// Removes examples from optional parameters. Swagger UI fills them in and sends them unasked: a list would be
/// tried out from the example's cursor on.
pub fn drop_from_optional_parameters(document: &mut Value) {
    each_object(document, &mut |object| {
        let is_parameter = object.contains_key("in") && object.contains_key("schema");
        if is_parameter
            && object.get("required") != Some(&Value::Bool(true))
            && let Some(schema) = object.get_mut("schema").and_then(Value::as_object_mut)
        {
            schema.shift_remove("example");
        }
    });
}
