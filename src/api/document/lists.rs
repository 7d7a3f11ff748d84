//! Step that bounds the lists in responses.

use serde_json::{Value, json};

use super::walk::each_schema;
use crate::api::http::types::Limit;

/// Bounds the items of pages by the largest limit, and the lists of resources as they are bounded in the requests
/// that set them.
pub fn bound(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    each_schema(document, |name, schema| {
        let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
            return;
        };
        for (property, list) in properties {
            if list["type"] != "array" || list.get("maxItems").is_some() {
                continue;
            }
            let max = match (name.ends_with("Page"), property.as_str()) {
                (true, "collection") => Some(json!(Limit::GREATEST)),
                _ => requests(name).find_map(|request| {
                    let max = &schemas[&request]["properties"][property.as_str()]["maxItems"];
                    (!max.is_null()).then(|| max.clone())
                }),
            };
            if let Some(max) = max {
                list["maxItems"] = max;
            }
        }
    });
}

/// Names that the request schema of a response schema may have: `DeviceInput` for `Device`, `ApiKeyInput` for
/// `ApiKeyWithKey`, `IntegrationTarget_HttpTarget` for `IntegrationTargetView_HttpTargetView`.
fn requests(name: &str) -> impl Iterator<Item = String> {
    let own = name.strip_suffix("WithKey").unwrap_or(name);
    [format!("{own}Input"), name.replace("View", "")].into_iter()
}
