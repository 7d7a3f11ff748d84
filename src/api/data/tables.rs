//! Data tables and their rows.

use std::collections::BTreeSet;

use poem::{Result, http::Uri};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    api::{
        Tag,
        access::auth::Caller,
        data::export,
        http::{
            answer::{Created, Csv, Found, Revised, Single},
            body::Body,
            csv_guard::guarded,
            page::{Cursor, Listed, Window},
            sort::SortBy,
            span,
            types::{Count, Id, JsonObject, Limit, List, Timestamp},
        },
    },
    error::Error,
    hub::{data::check_columns, selectors::parse_selector},
    id::DataTableId,
    store::{
        core::listing::ResourceOrder,
        data::{self, DataTable, NewDataTable, Row, RowFilter},
    },
    text::{Description, DeviceId, FieldPath, Name, SelectorText},
};

/// A data table to make, or to put in the place of one
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewDataTable")]
struct NewDataTableBody {
    /// Unique in the tenant
    name: Name,
    /// What it is for
    description: Option<Description>,
    /// Which devices' data it keeps, by their labels: `site=berlin, !retired`; empty: every device
    selector: SelectorText,
    /// Which decoded fields it keeps; all of them if left out
    columns: Option<List<Column, 1, 256>>,
}

/// One column
#[derive(Object, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Column {
    /// Path of the decoded field, its parts joined by dots: `door.open`
    pub(in crate::api) path: FieldPath,
    /// What the field must be; one of another type is left out
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    kind: ColumnType,
    /// Its unit, for people
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<Name>,
}

/// What a field must be
#[derive(Enum, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum ColumnType {
    Number,
    Text,
    Boolean,
    Json,
}

/// A data table
#[derive(Object, Serialize)]
#[oai(rename = "DataTable")]
struct DataTableView {
    /// Its id
    id: Id,
    /// Unique in the tenant
    name: String,
    /// What it is for
    description: String,
    /// Which devices' data it keeps
    selector: String,
    /// Which decoded fields it keeps; null: all
    columns: Option<Vec<Column>>,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When it was made
    created_at: Timestamp,
    /// When it was last changed
    updated_at: Timestamp,
}

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

/// `data-tables`.
pub struct DataTablesApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::DataTables")]
impl DataTablesApi {
    /// Create a data table
    ///
    /// From their next uplink on, it keeps the decoded data of all devices that its selector picks.
    #[oai(
        path = "/data-tables",
        method = "post",
        operation_id = "create_data_table"
    )]
    async fn create(
        &self,
        caller: Caller,
        body: Body<NewDataTableBody>,
    ) -> Result<Created<DataTableView>> {
        let table = data::insert(caller.scope(), body.0.provisioned()?).await?;
        Ok(Created {
            location: format!("/api/v3/data-tables/{}", table.id),
            body: table.into(),
        })
    }

    /// List data tables
    ///
    /// Their definitions; their rows are below them.
    #[oai(
        path = "/data-tables",
        method = "get",
        operation_id = "list_data_tables"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those with this text in name or description, whatever its case
        q: Query<Option<Name>>,
        /// What orders them; a minus turns it round. `created_at` by default
        sort: Query<Option<SortBy<ResourceOrder>>>,
        /// Most items on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        /// Whether to count the items of all pages, too; it costs about as much as reading them all
        total: Query<Option<bool>>,
        uri: &Uri,
    ) -> Result<Listed<DataTableView>> {
        let window = Window::new(uri, limit.0, cursor.0, total.0)?;
        let sort = SortBy::or(sort.0, ResourceOrder::Created);
        let page = data::list(caller.scope(), q.0.as_deref(), sort, &window.stretch).await?;
        Ok(window.answer(page, DataTableView::from)?)
    }

    /// Get a data table
    ///
    /// Its definition; its rows are below it.
    #[oai(
        path = "/data-tables/:id",
        method = "get",
        operation_id = "get_data_table"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// The data table's id
        id: Path<Id>,
    ) -> Result<Single<DataTableView>> {
        Ok(Single(
            data::get(caller.scope(), DataTableId(**id)).await?.into(),
        ))
    }

    /// Replace a data table
    ///
    /// Rows that are there stay as they are.
    #[oai(
        path = "/data-tables/:id",
        method = "put",
        operation_id = "update_data_table"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// The data table's id
        id: Path<Id>,
        body: Body<NewDataTableBody>,
    ) -> Result<Single<DataTableView>> {
        let scope = caller.scope();
        Ok(Single(
            data::update(scope, DataTableId(**id), body.0.provisioned()?)
                .await?
                .into(),
        ))
    }

    /// Delete a data table
    ///
    /// With all its rows. Answers what was deleted.
    #[oai(
        path = "/data-tables/:id",
        method = "delete",
        operation_id = "delete_data_table"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The data table's id
        id: Path<Id>,
    ) -> Result<Found<DataTableView>> {
        Ok(Found(
            data::delete(caller.scope(), DataTableId(**id))
                .await?
                .into(),
        ))
    }

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
            next: next.map(|(_, path)| path),
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

/// A page of rows, with the header line of these rows.
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

pub(in crate::api) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => guarded(text).into_owned(),
        Some(other) => other.to_string(),
    }
}

impl NewDataTableBody {
    fn provisioned(self) -> Result<NewDataTable<Column>, Error> {
        parse_selector(&self.selector)?;
        check_columns(
            self.columns
                .iter()
                .flat_map(|columns| columns.0.iter())
                .map(|column| &*column.path),
        )?;
        Ok(NewDataTable {
            name: self.name.into_string(),
            description: self
                .description
                .map(Description::into_string)
                .unwrap_or_default(),
            selector: self.selector.into_string(),
            columns: self.columns.map(|columns| columns.0),
        })
    }
}

impl From<DataTable<Column>> for DataTableView {
    fn from(table: DataTable<Column>) -> Self {
        let NewDataTable {
            name,
            description,
            selector,
            columns,
        } = table.provisioned;
        Self {
            id: Id::saturating(table.id.0),
            name,
            description,
            selector,
            columns,
            revision: Count::saturating(table.revision),
            created_at: Timestamp(table.created_at),
            updated_at: Timestamp(table.updated_at),
        }
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

impl Revised for DataTableView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
