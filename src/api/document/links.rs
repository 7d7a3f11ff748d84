//! Links from operations that create a resource to those that use it, for clients and stateful tests.

use serde_json::{Value, json};

use super::walk::each_operation;

/// Links every response 201 to the operations on and below the new resource.
pub fn add(document: &mut Value) {
    let mut operations = Vec::new();
    each_operation(document, |path, _, operation| {
        operations.push((
            path.to_owned(),
            operation["operationId"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        ));
    });
    each_operation(document, |path, _, operation| {
        if !operation["responses"]["201"].is_object() || path.contains('{') {
            return;
        }
        for (target, id) in &operations {
            let Some(rest) = target
                .strip_prefix(path)
                .filter(|rest| rest.starts_with("/{"))
            else {
                continue;
            };
            let parameters: Vec<&str> = rest
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            // A response contains several tags, versions or labels, and a link cannot choose one of them.
            let is_one_of_several = |name: &&str| matches!(*name, "tag" | "digest" | "label");
            if parameters.iter().any(is_one_of_several) || id == "create_uplink" {
                continue;
            }
            let values: serde_json::Map<String, Value> = parameters
                .iter()
                .map(|name| ((*name).to_owned(), format!("$response.body#/{name}").into()))
                .collect();
            operation["responses"]["201"]["links"][id] = json!({
                "operationId": id,
                "description": "Applies the operation to the new resource.",
                "parameters": values,
            });
        }
    });
}
