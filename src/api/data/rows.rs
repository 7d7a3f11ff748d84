//! Rows of data tables.

use poem::{Result, http::Uri};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;

use crate::{
    api::{
        data::{columns::Column, row_query::RowQuery},
        http::{
            answer::Found,
            caller::Caller,
            page::{Cursor, Listed, Window},
            span::{self, PointInTime},
            types::{Count, Id, JsonObject, Limit, Timestamp},
        },
        tag::Tag,
    },
    hub::data::delete_rows,
    id::DataTableId,
    store::data::{self, Row, RowFilter},
    text::DeviceId,
};

/// Row of a data table: the fields of an uplink, or of one time of an uplink.
#[derive(Object, Serialize)]
#[oai(rename = "Row")]
pub struct RowView {
    /// Time of the values: the time that the driver returned with them, otherwise the time at which the network
    /// received the uplink, or the hub if the network did not report a time.
    time: Timestamp,
    /// Identifier of the device that sent the uplink.
    device_id: String,
    /// Values by the paths of their columns. A data table without columns has all decoded fields here.
    data: JsonObject,
}

/// Result of deleting rows.
#[derive(Object, Serialize)]
#[oai(rename = "DeletedRows")]
struct DeletedRowsView {
    /// Number of rows that this request deleted.
    deleted: Count,
    /// True if no matching rows are left. If false, repeat the request to delete the others.
    is_complete: bool,
}

/// Endpoints of `data-tables/{id}/rows`.
pub struct DataTableRowsApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::DataTables")]
impl DataTableRowsApi {
    /// List a data table's rows
    ///
    /// Returns the rows of a data table in ascending or descending order of time. Filters are combined with AND. An index
    /// finds the rows of a device and a period; `filter` then reads them one by one, so narrow the period where few rows
    /// match. Fails with 400 if `to` is before `from` or `filter` does not fit the columns of the data table, and with
    /// 404 if the data table does not exist.
    #[oai(
        path = "/data-tables/:id/rows",
        method = "get",
        operation_id = "list_rows"
    )]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each parameter of the operation"
    )]
    async fn rows(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        query: RowQuery,
        /// Maximum number of rows per page; 50 if omitted. A page ends earlier if its rows have more than 4 MiB or
        /// 100,000 values.
        limit: Query<Option<Limit>>,
        /// Position of the page: the `next_cursor` of the previous page. Omit it for the first page.
        cursor: Query<Option<Cursor>>,
        /// Include the total number of matching rows. Counting takes about as long as reading all of them.
        total: Query<Option<bool>>,
        uri: &Uri,
    ) -> Result<Listed<RowView>> {
        let scope = caller.scope();
        let window = Window::new(uri, limit.0, cursor.0, total.0)?;
        let table = data::get::<Column>(scope, DataTableId(**id)).await?;
        let (filter, newest_first) = (query.filter(&table, scope)?, query.is_newest_first());
        let page = data::rows(scope, table.id, &filter, newest_first, &window.stretch).await?;
        Ok(window.answer(page, RowView::from)?)
    }

    /// Delete a data table's rows
    ///
    /// Deletes the rows before a time, of all devices or of one. Filters are combined with AND. The definition of the
    /// data table, its rows of other periods and devices, and the stored uplinks do not change.
    ///
    /// Deletes the oldest rows first, in small transactions, for at most 5 seconds. Repeat the request until
    /// `is_complete` is true. If the request fails, rows that it has already deleted stay deleted. The audit log has
    /// one entry for each request that deletes rows.
    ///
    /// Fails with 400 if `to` is missing or before `from`, and with 404 if the data table does not exist.
    #[oai(
        path = "/data-tables/:id/rows",
        method = "delete",
        operation_id = "delete_rows"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Only rows of the device with this identifier, which consists of ASCII letters and digits, with single dashes
        /// between them.
        device_id: Query<Option<DeviceId>>,
        /// Start of the period, inclusive. Omitted to delete from the oldest row.
        from: Query<Option<PointInTime>>,
        /// End of the period, exclusive.
        to: Query<PointInTime>,
    ) -> Result<Found<DeletedRowsView>> {
        let scope = caller.scope();
        let table = data::get::<Column>(scope, DataTableId(**id)).await?;
        let filter = RowFilter {
            device_id: device_id.0.map(DeviceId::into_string),
            span: span::asked(from.0, Some(to.0), scope)?,
            ..RowFilter::default()
        };
        let deleted = delete_rows(scope, table.id, &filter).await?;
        Ok(Found(DeletedRowsView {
            deleted: Count::saturating(deleted.rows),
            is_complete: deleted.is_complete,
        }))
    }
}

impl From<Row> for RowView {
    fn from(row: Row) -> Self {
        Self {
            time: Timestamp(row.time),
            device_id: row.device_id,
            data: JsonObject(row.data),
        }
    }
}
