//! Estimates of the memory that cached devices and tenants take. What users provision has no fixed
//! size, so a limit on the number of entries would not bound the caches.

use serde_json::{Map, Value};

use super::route::{DeviceRoute, TableRoute};

/// Fixed size of an entry, in bytes.
const ENTRY: usize = 1024;
/// Fixed size of a value, a recipient or a column, in bytes.
const ITEM: usize = 64;
/// Bytes of a parsed selector for each byte of its text.
const PARSED: usize = 3;

/// Returns the size of a cached device with its tables and integrations, in bytes.
pub fn of_device(route: &DeviceRoute) -> u32 {
    let device = &route.device.provisioned;
    let texts = device.description.len() + device.labels.iter().map(String::len).sum::<usize>();
    let state = &route.device.state;
    let json =
        of_members(&device.metadata) + of_members(&state.reported) + of_members(&state.desired);
    let items = route.integrations.len() + device.labels.len() + device.connections.len();
    let tables: usize = route.tables.iter().map(of_table).sum();
    weight(ENTRY + texts + json + ITEM * items + tables)
}

/// Returns the size of a tenant's cached targets in bytes. `selectors` is the total length of the
/// selectors' texts, `integrations` the number of integrations.
pub fn of_targets(selectors: usize, integrations: usize, tables: &[&TableRoute]) -> u32 {
    let tables: usize = tables.iter().map(|table| of_table(table)).sum();
    weight(ENTRY + PARSED * selectors + ITEM * integrations + tables)
}

fn of_table(table: &TableRoute) -> usize {
    let columns = table.columns.iter().flatten();
    let columns = columns
        .map(|column| ITEM + column.path.len() + column.unit.as_ref().map_or(0, String::len));
    ITEM + columns.sum::<usize>()
}

fn of_members(members: &Map<String, Value>) -> usize {
    let each = members.iter();
    each.map(|(name, value)| ITEM + name.len() + of_value(value))
        .sum()
}

fn of_value(value: &Value) -> usize {
    ITEM + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(of_value).sum(),
        Value::Object(members) => of_members(members),
    }
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_larger_weighs_more() {
        let of = |value: Value| of_members(value.as_object().unwrap());
        assert_eq!(of(json!({})), 0);
        let small = of(json!({"a": 1}));
        let large = of(json!({"a": "x".repeat(1000), "b": [1, 2, {"c": 3}]}));
        assert!(small >= 1 && large > 1000 + 4 * ITEM, "{small} {large}");
        let table = TableRoute {
            id: crate::id::DataTableId(1),
            columns: None,
        };
        assert!(of_targets(4096, 1, &[&table]) > of_targets(0, 1, &[]));
    }
}
