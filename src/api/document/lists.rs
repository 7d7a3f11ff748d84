//! Step that bounds the lists in responses.

use serde_json::{Value, json};

use super::walk::each_schema;
use crate::api::http::types::Limit;

/// Lists whose bound is that of another one: schema, property, and the place of the other one.
const ALIKE: [(&str, &str, &str); 4] = [
    (
        "DeviceConnectivity",
        "connections",
        "/DeviceInput/properties/connectivity/properties/connections",
    ),
    ("DeviceLabels", "labels", "/DeviceInput/properties/labels"),
    (
        "DriverVersion",
        "examples",
        "/DriverInput/properties/examples",
    ),
    (
        "TaggedDriverVersion",
        "examples",
        "/DriverInput/properties/examples",
    ),
];

/// List that may become longer than one request can make it, because each request adds to it.
const GROWING: (&str, &str) = ("Driver", "tags");

/// Bounds the items of pages by the largest limit, and the lists of resources as they are bounded in the requests
/// that set them.
pub fn bound(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    each_schema(document, |name, schema| {
        let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
            return;
        };
        for (property, list) in properties {
            let is_growing = GROWING == (name, property.as_str());
            if list["type"] != "array" || list.get("maxItems").is_some() || is_growing {
                continue;
            }
            let is_page = name.ends_with("Page") || name == "Redecoding";
            let max = if is_page && property == "collection" {
                Some(json!(Limit::GREATEST))
            } else {
                let alike = ALIKE
                    .iter()
                    .find(|(schema, list, _)| *schema == name && list == property);
                alike
                    .map(|(_, _, place)| (*place).to_owned())
                    .into_iter()
                    .chain(
                        requests(name).map(|request| format!("/{request}/properties/{property}")),
                    )
                    .find_map(|place| schemas.pointer(&place)?.get("maxItems").cloned())
            };
            if let Some(max) = max {
                list["maxItems"] = max;
            }
        }
    });
}

/// Names that the request schema of a response schema may have: `DeviceInput` for `Device`, `ApiKeyInput` for
/// `ApiKeyWithKey`, `IntegrationTarget_HttpTarget` for `IntegrationTargetView_HttpTargetView`.
fn requests(name: &str) -> impl Iterator<Item = String> + use<> {
    let own = name.strip_suffix("WithKey").unwrap_or(name);
    [format!("{own}Input"), name.replace("View", "")].into_iter()
}
