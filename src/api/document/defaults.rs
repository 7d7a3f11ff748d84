//! Step that declares the defaults which the code applies where a value is used. The framework only knows those of
//! its own attributes, with which null would not be accepted.

use serde_json::{Value, json};

use super::walk::{SCHEMAS, each_operation};
use crate::api::{
    data::chart::{HEIGHT_DEFAULT, WIDTH_DEFAULT},
    http::page::LIMIT_DEFAULT,
};

/// Defaults of query parameters: operation, parameter, value.
fn parameters() -> [(&'static str, &'static str, Value); 20] {
    [
        ("aggregate_rows", "functions", json!("avg")),
        ("aggregate_rows", "timezone", json!("UTC")),
        ("aggregate_rows", "group_by", json!("none")),
        ("aggregate_rows", "fill", json!("none")),
        ("get_data_table_chart", "timezone", json!("UTC")),
        ("get_data_table_chart", "width", json!(WIDTH_DEFAULT)),
        ("get_data_table_chart", "height", json!(HEIGHT_DEFAULT)),
        ("get_data_table_chart", "theme", json!("light")),
        ("get_device_chart", "timezone", json!("UTC")),
        ("get_device_chart", "width", json!(WIDTH_DEFAULT)),
        ("get_device_chart", "height", json!(HEIGHT_DEFAULT)),
        ("get_device_chart", "theme", json!("light")),
        ("aggregate_device_uplinks", "functions", json!("avg")),
        ("aggregate_device_uplinks", "timezone", json!("UTC")),
        ("aggregate_device_uplinks", "fill", json!("none")),
        ("create_device_import", "on_existing", json!("fail")),
        ("export_devices", "format", json!("csv")),
        ("list_rows", "limit", json!(LIMIT_DEFAULT)),
        ("redecode_device_uplinks", "dry_run", json!(true)),
        ("redecode_device_uplinks", "limit", json!(LIMIT_DEFAULT)),
    ]
}

/// Defaults of properties of requests: schema, property, value. An enum that may be null has none here: Go's
/// generator writes a constant for it that it does not define.
fn properties() -> [(&'static str, &'static str, Value); 3] {
    [
        (
            "DownlinkNetwork_HttpDownlinks",
            "content_type",
            json!("application/json"),
        ),
        ("IntegrationTarget_HttpTarget", "sign", json!(true)),
        ("IntegrationTarget_PostgresTarget", "port", json!(5432)),
    ]
}

/// Declares the defaults, and moves those of orders to the parameters: a default beside a reference is one that
/// generators find.
pub fn declare(document: &mut Value) {
    let mut orders = Vec::new();
    let schemas = document["components"]["schemas"].as_object_mut();
    for (name, schema) in schemas.into_iter().flatten() {
        let is_order = name.ends_with("Sort");
        if let Some(default) = schema
            .as_object_mut()
            .filter(|_| is_order)
            .and_then(|schema| schema.shift_remove("default"))
        {
            orders.push((format!("{SCHEMAS}{name}"), default));
        }
    }
    let declared = parameters();
    each_operation(document, |_, _, operation| {
        let id = operation["operationId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        for parameter in operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let schema = &parameter["schema"];
            let order = orders
                .iter()
                .find(|(reference, _)| schema["$ref"] == **reference);
            let own = declared
                .iter()
                .find(|(operation, name, _)| *operation == id && parameter["name"] == *name);
            let default = own
                .map(|(_, _, default)| default)
                .or(order.map(|(_, default)| default));
            let Some(default) = default else {
                continue;
            };
            if schema["$ref"].is_string() {
                parameter["schema"] = json!({"allOf": [schema]});
            }
            parameter["schema"]["default"] = default.clone();
        }
    });
    for (schema, property, default) in properties() {
        document["components"]["schemas"][schema]["properties"][property]["default"] = default;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AllOperations, ERRORS, document::published::document};

    #[test]
    fn every_default_is_one_of_a_declared_parameter_or_property() {
        let mut found = 0;
        let mut document = document::<AllOperations>(None, ERRORS);
        each_operation(&mut document, |_, _, operation| {
            for (id, name, default) in parameters() {
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let mut fitting = parameters.filter(|parameter| parameter["name"] == name);
                if operation["operationId"] == id
                    && fitting.all(|parameter| parameter["schema"]["default"] == default)
                {
                    found += 1;
                }
            }
        });
        assert_eq!(found, parameters().len());
        for (schema, property, _) in properties() {
            let property = &document["components"]["schemas"][schema]["properties"][property];
            assert!(property["type"].is_string(), "{schema}: {property}");
        }
    }
}
