//! Step 3: composes all changes that follow from one uplink, for one transaction.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    frame, native, news,
    route::{Column, ColumnType, DeviceRoute, TableRoute},
};
use crate::{
    clock::Time,
    codec::{
        decoded::Decoded,
        output::{self, Update},
    },
    networks::{Names, Uplink},
    store::{
        data::NewRow,
        devices::{State, driver_states::NewState},
        integrations::policy::EventType,
        uplink_batch::Record,
    },
};

/// Composes the record of an uplink.
pub fn compose(
    device: Arc<DeviceRoute>,
    uplink: Uplink,
    received_at: Time,
    decoded: Decoded,
    driver_state: Option<NewState>,
) -> Record {
    let time = uplink.time.unwrap_or(received_at);
    let rows = rows(
        &device.tables,
        time,
        decoded.data.as_ref(),
        decoded.updates.as_deref(),
    );
    let updates = decoded.updates.as_deref().map(output::as_json);
    Record {
        device: device.key,
        device_id: device.device.provisioned.id.clone(),
        time,
        f_port: uplink.f_port,
        f_cnt: uplink.f_cnt,
        mark: frame::mark(&uplink),
        carries_data: uplink.carries_data(),
        raw: uplink.payload.as_ref().map(|payload| payload.to_vec()),
        radio: radio(&uplink),
        data: decoded.data.clone(),
        updates: updates.clone(),
        driver_state,
        failure: decoded.failure.as_ref().map(|(_, failure)| failure.clone()),
        events: {
            let mut events = decoded.events;
            events.extend(news::confirmation(&uplink));
            events
        },
        reports: news::beside(&uplink),
        acknowledges: uplink.acknowledges,
        rows,
        integrations: device.integrations.clone(),
        render: {
            let (data, failure) = (decoded.data, decoded.failure.map(|(message, _)| message));
            Box::new(move |event, state| {
                let decoded = match (&data, &updates, &failure) {
                    _ if event == EventType::Raw => native::Decoded::NoDriver,
                    (Some(data), Some(updates), _) => native::Decoded::Updates(data, updates),
                    (Some(data), None, _) => native::Decoded::Fields(data),
                    (None, _, Some(failure)) => native::Decoded::Failed(failure),
                    (None, _, None) => native::Decoded::NoDriver,
                };
                render(&device, &uplink, received_at, decoded, state)
            })
        },
    }
}

/// Returns the radio metadata, with the network's names of the device, which a downlink may need.
fn radio(uplink: &Uplink) -> Value {
    let mut radio = json!(uplink.radio);
    if uplink.names != Names::default() {
        radio["network"] = json!(uplink.names);
    }
    radio
}

/// Returns the rows for the data tables, each with the time of its values.
pub fn rows(
    tables: &[TableRoute],
    time: Time,
    data: Option<&Map<String, Value>>,
    updates: Option<&[Update]>,
) -> Vec<NewRow> {
    let groups = match (updates, data) {
        (Some(updates), _) => updates.iter().map(|u| (u.time, &u.values)).collect(),
        (None, Some(data)) => vec![(time, data)],
        (None, None) => Vec::new(),
    };
    let mut rows = Vec::new();
    for (time, data) in groups {
        let kept = tables.iter().filter_map(|table| {
            Some(NewRow {
                table: table.id,
                time,
                data: row(table, data)?,
            })
        });
        rows.extend(kept);
    }
    rows
}

/// Returns the fields that a table stores; `None` if the data contain none of them.
fn row(table: &TableRoute, data: &Map<String, Value>) -> Option<Value> {
    let Some(columns) = &table.columns else {
        return (!data.is_empty()).then(|| Value::Object(data.clone()));
    };
    let picked: Map<String, Value> = columns
        .iter()
        .filter_map(|column| Some((column.path.clone(), pick(column, data)?.clone())))
        .collect();
    (!picked.is_empty()).then_some(Value::Object(picked))
}

/// Returns the field at the column's path if it exists and has the column's type. A field whose own
/// name contains dots takes precedence over a path.
fn pick<'a>(column: &Column, data: &'a Map<String, Value>) -> Option<&'a Value> {
    let value = data.get(&column.path).or_else(|| {
        let mut parts = column.path.split('.');
        let first = data.get(parts.next()?)?;
        parts.try_fold(first, |value, part| match value {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            value => value.get(part),
        })
    })?;
    let fits = match column.kind {
        ColumnType::Number => value.is_number(),
        ColumnType::Text => value.is_string(),
        ColumnType::Boolean => value.is_boolean(),
        ColumnType::Json => true,
    };
    fits.then_some(value)
}

fn render(
    route: &DeviceRoute,
    uplink: &Uplink,
    received_at: Time,
    decoded: native::Decoded<'_>,
    state: &State,
) -> String {
    let device = &route.device.provisioned;
    let connections: Vec<native::Connection<'_>> = device
        .connections
        .iter()
        .zip(&route.connection_names)
        .map(|(address, (id, name))| native::Connection {
            network_connection_id: *id,
            network_connection_name: name,
            network_device_id: &address.network_device_id,
        })
        .collect();
    native::render(&native::Parts {
        uplink,
        received_at,
        device: native::Device {
            id: &device.id,
            name: &device.name,
            driver: device.driver.as_deref().unwrap_or_default(),
            labels: &device.labels,
            desired_state: &state.desired,
            reported_state: &state.reported,
            connections: &connections,
        },
        decoded,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DataTableId;

    fn kept(columns: Option<&[(&str, ColumnType)]>, data: Value) -> Option<Value> {
        let columns = columns.map(|columns| {
            let column = |(path, kind): &(&str, ColumnType)| Column {
                path: (*path).into(),
                kind: *kind,
                unit: None,
            };
            columns.iter().map(column).collect()
        });
        row(
            &TableRoute {
                id: DataTableId(1),
                columns,
            },
            data.as_object().unwrap(),
        )
    }

    #[test]
    fn a_row_keeps_the_columns_that_are_there_with_their_type() {
        use ColumnType::{Boolean, Json, Number, Text};
        let data =
            json!({"t": 21.5, "door": {"open": true}, "a.b": 1, "list": [7, 8], "name": "x"});
        assert_eq!(kept(None, data.clone()), Some(data.clone()));
        assert_eq!(
            kept(Some(&[("t", Number)]), data.clone()),
            Some(json!({"t": 21.5}))
        );
        assert_eq!(
            kept(Some(&[("door.open", Boolean)]), data.clone()),
            Some(json!({"door.open": true}))
        );
        assert_eq!(
            kept(Some(&[("a.b", Number)]), data.clone()),
            Some(json!({"a.b": 1}))
        );
        assert_eq!(
            kept(Some(&[("list.1", Number)]), data.clone()),
            Some(json!({"list.1": 8}))
        );
        assert_eq!(
            kept(Some(&[("list", Json), ("name", Text)]), data.clone()),
            Some(json!({"list": [7, 8], "name": "x"}))
        );
        assert_eq!(kept(Some(&[("t", Text), ("gone", Json)]), data), None);
        assert_eq!(kept(None, json!({})), None);
    }

    #[test]
    fn the_radio_metadata_have_the_names_in_the_network_if_there_are_any() {
        let mut uplink = Uplink::default();
        assert_eq!(radio(&uplink).get("network"), None);
        uplink.names.device = Some("hall".to_owned());
        assert_eq!(radio(&uplink)["network"]["device"], "hall");
    }
}
