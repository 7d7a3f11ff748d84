//! Last values of the devices in a data table.

use poem::Result;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;

use crate::{
    api::{
        data::{
            columns::Column,
            parameters::{self, DevicesText},
        },
        http::{
            caller::Caller,
            page::Listed,
            paging::Paging,
            types::{Count, Id, JsonValue, Timestamp},
        },
        tag::Tag,
    },
    clock::Time,
    hub::{
        Hub,
        data::latest::{Latest, LatestValue},
        selectors::parse_selector,
    },
    id::DataTableId,
    store::data::{self, latest},
    text::SelectorText,
};

/// Last values of a device in a data table.
#[derive(Object, Serialize)]
#[oai(rename = "LatestValues")]
struct LatestView {
    /// Identifier of the device.
    device_id: String,
    /// Time of the newest row of the device.
    time: Timestamp,
    /// Seconds since `time`.
    age_s: Count,
    /// Last value of each column, in the order of the columns; for a data table without columns, of each field by name.
    /// Columns without a value are left out.
    values: Vec<LatestValueView>,
}

/// Last value of a column.
#[derive(Object, Serialize)]
#[oai(rename = "LatestValue")]
struct LatestValueView {
    /// Path of the column.
    column: String,
    /// The value.
    value: JsonValue,
    /// Unit of the column. Null if the column has none.
    unit: Option<String>,
    /// Time of the row that has the value.
    time: Timestamp,
    /// Seconds since `time`.
    age_s: Count,
}

/// Endpoints of `data-tables/{id}/latest`.
pub struct LatestApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::DataTables")]
impl LatestApi {
    /// List latest values
    ///
    /// Returns the last value of each column of each device that has rows in the data table, with its time and age. One
    /// item is one device, in the order of the identifiers. Filters are combined with AND. Looks at the newest 100 rows
    /// of a device: a value that is older is left out.
    ///
    /// Fails with 404 if the data table does not exist, and with 503 if too many aggregations are in progress, or if
    /// the database needs more than 15 seconds.
    #[oai(
        path = "/data-tables/:id/latest",
        method = "get",
        operation_id = "list_latest_values"
    )]
    async fn latest(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Only the devices with these identifiers.
        device_id: Query<Option<DevicesText>>,
        /// Only the devices whose labels match this selector now. Empty: all devices that exist. Absent: also devices
        /// that have been deleted.
        selector: Query<Option<SelectorText>>,
        paging: Paging,
    ) -> Result<Listed<LatestView>> {
        let scope = caller.scope();
        let selector = selector.0.as_deref().map(parse_selector).transpose()?;
        let window = paging.window::<String>()?;
        let table = data::get::<Column>(scope, DataTableId(**id)).await?;
        let listed = latest::Listed {
            table: table.id,
            devices: parameters::devices(device_id.0.as_ref()),
            selector,
        };
        let own = table.provisioned.columns.as_deref();
        let paths: Option<Vec<&str>> =
            own.map(|own| own.iter().map(|column| &*column.path).collect());
        let page = self
            .hub
            .latest(scope, &listed, paths.as_deref(), &window.stretch)
            .await?;
        let now = scope.now();
        let view = |device| LatestView::of(device, own.unwrap_or_default(), now);
        Ok(window.answer(page, view)?)
    }
}

impl LatestView {
    fn of(device: Latest, columns: &[Column], now: Time) -> Self {
        let value = |value: LatestValue| {
            let own = columns.iter().find(|column| *column.path == *value.column);
            LatestValueView {
                unit: own.and_then(Column::unit).map(ToOwned::to_owned),
                column: value.column,
                value: JsonValue(value.value),
                time: Timestamp(value.time),
                age_s: age(value.time, now),
            }
        };
        Self {
            device_id: device.device_id,
            time: Timestamp(device.time),
            age_s: age(device.time, now),
            values: device.values.into_iter().map(value).collect(),
        }
    }
}

/// Returns the seconds since a time; 0 if it is in the future.
fn age(time: Time, now: Time) -> Count {
    Count::saturating((now - time).num_seconds())
}
