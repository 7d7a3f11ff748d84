//! Rows of data tables.

use std::collections::BTreeSet;

use poem::{Result, http::Uri};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;

use crate::{
    api::{
        data::{columns::Column, export},
        http::{
            answer::Csv,
            caller::Caller,
            page::{Cursor, Listed, Window},
            span,
            types::{Id, JsonObject, Limit, Timestamp},
        },
        tag::Tag,
    },
    error::Error,
    id::DataTableId,
    store::data::{self, DataTable, Row, RowFilter},
    text::DeviceId,
};

/// The fields of one uplink
#[derive(Object, Serialize)]
#[oai(rename = "Row")]
struct RowView {
    /// When the network received the uplink
    time: Timestamp,
    /// The device it came from
    device_id: String,
    /// The fields, by their paths
    data: JsonObject,
}

/// Endpoints of `data-tables/{id}/rows`.
pub struct DataTableRowsApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::DataTables")]
impl DataTableRowsApi {
    /// List a data table's rows
    ///
    /// By time, oldest first.
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
        /// The data table's id
        id: Path<Id>,
        /// Of this device alone
        device_id: Query<Option<DeviceId>>,
        /// At or after this time
        from: Query<Option<Timestamp>>,
        /// Before this time
        to: Query<Option<Timestamp>>,
        /// Most rows on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        /// Whether to count the items of all pages, too; it costs about as much as reading them all
        total: Query<Option<bool>>,
        uri: &Uri,
    ) -> Result<Listed<RowView>> {
        let scope = caller.scope();
        let window = Window::new(uri, limit.0, cursor.0, total.0)?;
        let table = data::get::<Column>(scope, DataTableId(**id)).await?;
        let filter = row_filter(device_id.0, from.0, to.0)?;
        let page = data::rows(scope, table.id, &filter, &window.stretch).await?;
        Ok(window.answer(page, RowView::from)?)
    }

    /// Export a data table's rows as CSV
    ///
    /// A header line with `time`, `device_id` and the columns (of a table that keeps all fields: those
    /// that these rows have), then a line for each row, by time, oldest first. Returns all rows that there are
    /// when it begins, or, with `limit`, a page: the `Link` header has the next one. A file that breaks off
    /// ends with a broken connection, never as if it were whole.
    #[oai(
        path = "/data-tables/:id/rows.csv",
        method = "get",
        operation_id = "export_rows"
    )]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each parameter of the operation"
    )]
    async fn rows_csv(
        &self,
        caller: Caller,
        /// The data table's id
        id: Path<Id>,
        /// Of this device alone
        device_id: Query<Option<DeviceId>>,
        /// At or after this time
        from: Query<Option<Timestamp>>,
        /// Before this time
        to: Query<Option<Timestamp>>,
        /// Most rows; all of them by default
        limit: Query<Option<Limit>>,
        /// The cursor in the `Link` of the page before
        cursor: Query<Option<Cursor>>,
        uri: &Uri,
    ) -> Result<Csv> {
        let scope = caller.scope();
        let is_whole = limit.0.is_none();
        let window = Window::new(uri, limit.0, cursor.0, None)?;
        let table = data::get::<Column>(scope, DataTableId(**id)).await?;
        let filter = row_filter(device_id.0, from.0, to.0)?;
        if is_whole {
            let after = window.stretch.after;
            let body = export::export(scope, table, filter, after).await?;
            return Ok(Csv { body, next: None });
        }
        let page = data::rows(scope, table.id, &filter, &window.stretch).await?;
        let next = page.next.map(|place| window.next(place)).transpose()?;
        Ok(Csv {
            body: csv(&table, &page.items)?.into(),
            next: next.map(|next| next.path),
        })
    }
}

fn row_filter(
    device_id: Option<DeviceId>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<RowFilter, Error> {
    Ok(RowFilter {
        device_id: device_id.map(DeviceId::into_string),
        span: span::read(from, to)?,
        until: None,
    })
}

/// Returns a page of rows as CSV, with a header line for these rows.
fn csv(table: &DataTable<Column>, rows: &[Row]) -> Result<String, Error> {
    let paths = match &table.provisioned.columns {
        Some(columns) => export::paths(columns),
        None => {
            let names = rows.iter().flat_map(|row| row.data.keys().cloned());
            names.collect::<BTreeSet<_>>().into_iter().collect()
        }
    };
    let header = export::header(&paths)?;
    Ok(header + &export::lines(&paths, rows)?)
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
