//! Data tables.

use poem::Result;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        data::columns::Column,
        http::{
            answer::{Created, Found, Revised, Single},
            body::Body,
            caller::Caller,
            page::Listed,
            paging::Paging,
            sort::SortBy,
            types::{Count, Id, List, RetentionDays, Timestamp},
        },
        tag::Tag,
    },
    error::Error,
    hub::{data::check_columns, selectors::parse_selector},
    id::DataTableId,
    store::{
        core::listing::ResourceOrder,
        data::{self, DataTable, NewDataTable},
    },
    text::{Description, Name, SelectorText},
};

/// Data table to create, or new values of a data table.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewDataTable")]
struct NewDataTableBody {
    /// Name of the data table, unique in the tenant.
    name: Name,
    /// Description of the data table, for people; empty if omitted or null.
    description: Option<Description>,
    /// Label selector of the devices whose data are stored, such as `site=berlin, !retired`. An empty selector selects
    /// all devices.
    selector: SelectorText,
    /// Decoded fields to store, each at most once. Omitted or null to store all fields.
    columns: Option<List<Column, 1, 256>>,
    /// Time for which rows are kept, in days from the `time` of the row. The hub deletes older rows in the background.
    /// Omitted or null to keep rows without limit.
    retention_days: Option<RetentionDays>,
}

/// Data table, which stores the decoded data of devices.
#[derive(Object, Serialize)]
#[oai(rename = "DataTable")]
struct DataTableView {
    /// Unique identifier of the data table.
    id: Id,
    /// Name of the data table, unique in the tenant.
    name: String,
    /// Description of the data table, for people.
    description: String,
    /// Label selector of the devices whose data are stored; empty for all devices.
    selector: String,
    /// Decoded fields that are stored; null if all fields are stored.
    columns: Option<Vec<Column>>,
    /// Time for which rows are kept, in days from the `time` of the row; null if rows are kept without limit.
    retention_days: Option<RetentionDays>,
    /// Number of the revision, which increases with every change by a client. The `ETag` header contains it.
    revision: Count,
    /// Time of creation.
    created_at: Timestamp,
    /// Time of the last change.
    updated_at: Timestamp,
}

/// Endpoints of `data-tables`.
pub struct DataTablesApi;

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::DataTables")]
impl DataTablesApi {
    /// Create a data table
    ///
    /// Creates a data table, which stores the decoded data of all devices that its selector matches, starting with
    /// their next uplink. Fill the data table to add earlier uplinks.
    ///
    /// Fails with 400 if another data table of the tenant has the name, if `selector` is not a valid label selector,
    /// or if two columns have the same path.
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
    /// Returns the definitions of the tenant's data tables, without their rows.
    #[oai(
        path = "/data-tables",
        method = "get",
        operation_id = "list_data_tables"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Text that the name or description must contain, ignoring case.
        q: Query<Option<Name>>,
        /// Sort key; prefix it with `-` for descending order. Sorted by `created_at` if omitted.
        sort: Query<Option<SortBy<ResourceOrder>>>,
        paging: Paging,
    ) -> Result<Listed<DataTableView>> {
        let window = paging.window()?;
        let sort = SortBy::or(sort.0, ResourceOrder::Created);
        let page = data::list(caller.scope(), q.0.as_deref(), sort, &window.stretch).await?;
        Ok(window.answer(page, DataTableView::from)?)
    }

    /// Get a data table
    ///
    /// Returns the definition of a data table, without its rows. Fails with 404 if the data table does not exist.
    #[oai(
        path = "/data-tables/:id",
        method = "get",
        operation_id = "get_data_table"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
    ) -> Result<Single<DataTableView>> {
        Ok(Single(
            data::get(caller.scope(), DataTableId(**id)).await?.into(),
        ))
    }

    /// Update a data table
    ///
    /// Replaces the definition of a data table; omitted fields are reset to their defaults. Existing rows do not
    /// change, except that rows older than a new `retention_days` are deleted in the background. A fill with `replace`
    /// applies changed columns to the rows whose uplinks are stored.
    ///
    /// Fails with 400 if another data table of the tenant has the name, if `selector` is not a valid label selector,
    /// or if two columns have the same path. Fails with 404 if the data table does not exist.
    #[oai(
        path = "/data-tables/:id",
        method = "put",
        operation_id = "update_data_table"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
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
    /// Deletes a data table with all its rows, and returns its definition. Fails with 404 if the data table does not
    /// exist.
    #[oai(
        path = "/data-tables/:id",
        method = "delete",
        operation_id = "delete_data_table"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
    ) -> Result<Found<DataTableView>> {
        Ok(Found(
            data::delete(caller.scope(), DataTableId(**id))
                .await?
                .into(),
        ))
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
            retention_days: self.retention_days.map(RetentionDays::stored),
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
            retention_days,
        } = table.provisioned;
        Self {
            id: Id::saturating(table.id.0),
            name,
            description,
            selector,
            columns,
            retention_days: retention_days.map(RetentionDays::saturating),
            revision: Count::saturating(table.revision),
            created_at: Timestamp(table.created_at),
            updated_at: Timestamp(table.updated_at),
        }
    }
}

impl Revised for DataTableView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
