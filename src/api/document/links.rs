//! Links from operations that create a resource to those that use it, for clients and stateful tests.

use serde_json::{Map, Value, json};

use super::walk::{each_operation, schema_name};

/// Operations whose resource is not below their own path, with the path that it is below.
const ELSEWHERE: [(&str, &str); 5] = [
    ("adopt_unknown_device", "/api/v3/devices"),
    ("create_fill", "/api/v3/data-tables/{id}/fills"),
    ("create_row_import", "/api/v3/data-tables/{id}/imports"),
    ("create_replay", "/api/v3/integrations/{id}/replays"),
    ("import_driver", "/api/v3/drivers"),
];

/// Operations that a new resource does not lead to: those that need another key, another protocol, or settings
/// or columns that a new resource does not have.
const UNLINKED: [&str; 6] = [
    "aggregate_rows",
    "create_uplink",
    "delete_downlink_settings",
    "follow_integration",
    "get_data_table_chart",
    "get_downlink_settings",
];

/// Links every response 201 to the operations on and below the new resource whose parameters it determines.
pub fn add(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let mut operations = Vec::new();
    each_operation(document, |path, _, operation| {
        if !asks_for_more(operation) {
            operations.push((path.to_owned(), id(operation).to_owned()));
        }
    });
    each_operation(document, |path, _, operation| {
        let response = &operation["responses"]["201"];
        let Some(name) = schema_name(&response["content"]["application/json"]["schema"]["$ref"])
        else {
            return;
        };
        let members = &schemas[name]["properties"];
        let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == id(operation));
        let base = elsewhere.map_or(path, |(_, base)| *base);
        let links: Map<String, Value> = operations
            .iter()
            .filter(|(_, id)| !UNLINKED.contains(&id.as_str()))
            .filter_map(|(target, id)| Some((id.clone(), link(base, target, id, members)?)))
            .collect();
        if !links.is_empty() {
            operation["responses"]["201"]["links"] = links.into();
        }
    });
}

/// True if a request needs a query parameter, which no resource determines.
fn asks_for_more(operation: &Value) -> bool {
    let parameters = operation["parameters"].as_array();
    let mut parameters = parameters.into_iter().flatten();
    parameters.any(|parameter| parameter["in"] == "query" && parameter["required"] == true)
}

fn id(operation: &Value) -> &str {
    operation["operationId"].as_str().unwrap_or_default()
}

/// Returns the link to the operation at the path `target`; `None` if it is not below `base`, or if one of its
/// parameters is neither in the request nor in the response.
fn link(base: &str, target: &str, id: &str, members: &Value) -> Option<Value> {
    let below = target
        .strip_prefix(base)
        .filter(|rest| rest.starts_with("/{"))?;
    let mut parameters = Map::new();
    for name in names(base) {
        parameters.insert(name.to_owned(), format!("$request.path.{name}").into());
    }
    for (position, name) in names(below).enumerate() {
        let member = match members.get(name) {
            Some(_) => name,
            // In the path of a nested resource its id has a name of its own, such as `downlink_id`.
            None if position == 0 && name.ends_with("_id") => "id",
            None => return None,
        };
        parameters.insert(name.to_owned(), format!("$response.body#/{member}").into());
    }
    Some(json!({
        "operationId": id,
        "description": "With the new resource",
        "parameters": parameters,
    }))
}

/// Returns the names of the parameters in a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}
