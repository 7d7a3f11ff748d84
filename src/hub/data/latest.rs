//! Last values of the devices in a data table.

use serde_json::Value;

use crate::{
    clock::Time,
    error::Result,
    hub::Hub,
    store::{
        Page, Scope,
        core::{
            listing::{Place, Stretch},
            part::{Ration, Size},
        },
        data::{
            Row,
            latest::{self, Listed},
        },
    },
};

/// Number of the newest rows of a device in which its last values are looked for.
const ROWS_MAX: u64 = 100;
/// Maximum number of values of one device.
const VALUES_MAX: usize = 256;

/// Last values of a device.
#[derive(Debug, Clone)]
pub struct Latest {
    /// Identifier of the device.
    pub device_id: String,
    /// Time of its newest row.
    pub time: Time,
    /// Its values, in the order of the columns.
    pub values: Vec<LatestValue>,
}

/// Last value of a column.
#[derive(Debug, Clone)]
pub struct LatestValue {
    /// Path of the column.
    pub column: String,
    /// The value.
    pub value: Value,
    /// Time of its row.
    pub time: Time,
}

impl Hub {
    /// Returns a page of the devices with their last values. `columns` are those of the data table.
    pub async fn latest(
        &self,
        scope: &Scope,
        listed: &Listed,
        columns: Option<&[&str]>,
        stretch: &Stretch<String>,
    ) -> Result<Page<Latest, Place<String>>> {
        let (scope, listed, stretch) = (scope.clone(), listed.clone(), stretch.clone());
        let columns = columns.map(|columns| columns.iter().map(|one| (*one).to_owned()).collect());
        let tenant = scope.tenant();
        let reads = async move {
            let columns: Option<Vec<String>> = columns;
            let columns: Option<Vec<&str>> = columns
                .as_ref()
                .map(|columns| columns.iter().map(String::as_str).collect());
            read(&scope, &listed, columns.as_deref(), &stretch).await
        };
        self.charts.run(tenant, reads).await
    }
}

async fn read(
    scope: &Scope,
    listed: &Listed,
    columns: Option<&[&str]>,
    stretch: &Stretch<String>,
) -> Result<Page<Latest, Place<String>>> {
    let page = latest::devices(scope, listed, stretch).await?;
    let (mut items, mut size, mut next) = (Vec::new(), Size::default(), page.next);
    let mut devices = page.items.into_iter().peekable();
    while let Some(device) = devices.next() {
        // Most devices send all of their values at once.
        let mut rows = latest::newest(scope, listed.table, &device, 1).await?;
        let has_all = columns.is_some_and(|columns| {
            let [newest] = rows.as_slice() else {
                return false;
            };
            columns
                .iter()
                .all(|column| is_value(newest.data.get(*column)))
        });
        if !has_all {
            rows = latest::newest(scope, listed.table, &device, ROWS_MAX).await?;
        }
        // The device's rows may have been deleted in between.
        if let Some(newest) = rows.first() {
            let values = values(&rows, columns);
            size = values.iter().map(LatestValue::size).fold(size, Size::and);
            if Ration::Page.is_exceeded(size) && devices.peek().is_some() {
                // The rest of the devices is on the next page.
                next = Some(Place::of_key(device.clone()));
                devices = Vec::new().into_iter().peekable();
            }
            items.push(Latest {
                time: newest.time,
                values,
                device_id: device,
            });
        }
    }
    Ok(Page {
        items,
        next,
        total: page.total,
        room: scope.room(size)?,
    })
}

impl LatestValue {
    fn size(&self) -> Size {
        let value = serde_json::to_vec(&self.value).unwrap_or_default();
        Size::of(self.column.as_bytes()).and(Size::of(&value))
    }
}

/// Returns the last value of each column, or of each field, in rows of which the newest is the first.
fn values(rows: &[Row], columns: Option<&[&str]>) -> Vec<LatestValue> {
    let names: Vec<&str> = match columns {
        Some(columns) => columns.to_vec(),
        None => {
            let mut names: Vec<&str> = rows
                .iter()
                .flat_map(|row| row.data.keys())
                .map(|name| &**name)
                .collect();
            names.sort_unstable();
            names.dedup();
            names
        }
    };
    let last = |name: &str| {
        let row = rows.iter().find(|row| is_value(row.data.get(name)))?;
        Some(LatestValue {
            column: name.to_owned(),
            value: row.data.get(name)?.clone(),
            time: row.time,
        })
    };
    let found = names.into_iter().filter_map(last);
    found.take(VALUES_MAX).collect()
}

fn is_value(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{clock, id::new_uuid, store::members};

    #[test]
    fn the_last_value_of_each_column_may_be_in_different_rows() {
        let row = |data: Value| Row {
            id: new_uuid(),
            device_id: "a".to_owned(),
            time: clock::now(),
            data: members(data),
        };
        let rows = [
            row(json!({"b": null, "c": 3})),
            row(json!({"a": 1, "b": 2, "c": 4})),
        ];
        let found = |columns: Option<&[&str]>| -> Vec<(String, Value)> {
            let values = values(&rows, columns).into_iter();
            values.map(|value| (value.column, value.value)).collect()
        };
        let all =
            [("a", 1), ("b", 2), ("c", 3)].map(|(name, value)| (name.to_owned(), json!(value)));
        assert_eq!(found(None), all);
        assert_eq!(found(Some(&["c", "none"])), all[2..]);
    }
}
