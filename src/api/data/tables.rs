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
            types::{Count, Id, List, Timestamp},
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

/// Endpoints of `data-tables`.
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
    async fn list(
        &self,
        caller: Caller,
        /// Only those with this text in name or description, whatever its case
        q: Query<Option<Name>>,
        /// What orders them; a minus turns it round. `created_at` by default
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

impl Revised for DataTableView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
