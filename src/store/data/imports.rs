//! Imports of rows into data tables: the job, its waiting rows, and the rows that were refused.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    clock::Time,
    error::{Error, Result},
    id::{DataTableId, RowImportId, TenantId},
    store::{
        core::{
            audit::subject,
            batches::{self, batch_table},
            handle::Store,
            jobs::{self, State, owned_jobs},
            listing::{self, Order, Place, Stretch},
            page::Page,
            removed,
            scope::Scope,
            words,
        },
        entities::{data_table, data_table_import, data_table_import_batch, data_table_import_row},
    },
};

owned_jobs!(data_table_import of data_table by DataTableId: "import", "imports are running");
batch_table!(data_table_import_batch);

pub use crate::store::core::batches::rows_to_text;

/// Import to create.
pub struct NewImport {
    /// Format of the imported file.
    pub format: &'static str,
    /// Character encoding of the file.
    pub encoding: String,
    /// Delimiter of the cells, if the format has one.
    pub delimiter: Option<char>,
    /// Number of rows.
    pub rows_total: i64,
    /// Batches: the number of the first row, and the rows as written by [`rows_to_text`].
    pub batches: Vec<(i64, String)>,
}

/// Import of rows into a data table.
#[derive(Debug, Clone)]
pub struct Import {
    /// Identifier of the import.
    pub id: RowImportId,
    /// Progress of the import.
    pub state: State,
    /// Format of the imported file.
    pub format: String,
    /// Character encoding of the file.
    pub encoding: String,
    /// Delimiter of the cells, if the format has one.
    pub delimiter: Option<String>,
    /// Number of rows in the file.
    pub rows_total: i64,
    /// Number of rows that were added.
    pub added: i64,
    /// Number of rows that were there already.
    pub skipped: i64,
    /// Number of rows that were refused.
    pub failed: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last progress.
    pub updated_at: Time,
    /// Time at which the import ended; `None` until then.
    pub finished_at: Option<Time>,
}

/// Row that waits for import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Row number, counted from 1.
    pub number: i64,
    /// Line of the file in which the row starts.
    pub line: i64,
    /// Identifier of the device, if known.
    pub device_id: Option<String>,
    /// Content of the row, or the reason why it is invalid.
    pub content: Result<Content, String>,
}

/// Content of a valid row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Identifier of the device.
    pub device_id: String,
    /// Time of the values.
    pub time: Time,
    /// Values of the columns.
    pub data: Map<String, Value>,
    /// Number of rows of the same device and time that precede it in the file.
    pub before: u32,
}

/// Row that was refused.
#[derive(Debug, Clone)]
pub struct FailedRow {
    /// Row number, counted from 1.
    pub number: i64,
    /// Line of the file in which the row starts.
    pub line: i64,
    /// Identifier of the device, if known.
    pub device_id: Option<String>,
    /// Column and rule.
    pub error: String,
}

impl Store {
    /// Returns the unfinished imports of rows of all tenants.
    pub async fn running_row_imports(&self) -> Result<Vec<(TenantId, RowImportId)>> {
        jobs::unfinished::<data_table_import::Entity, _>(self, RowImportId).await
    }
}

/// Creates an import and stores its rows. The rows are written in several transactions, and the import stays hidden
/// until the last. The leftovers of an interrupted upload are deleted like removed rows.
pub async fn insert(scope: &Scope, table: DataTableId, new: NewImport) -> Result<Import> {
    // Checked before all the writing, and again when the import becomes visible.
    jobs::check_room::<data_table_import::Entity>(scope, scope.reader(), table.0).await?;
    // Shared time, because all hubs use it to detect whether the import is still being written.
    let (now, writer) = (scope.now(), &scope.store.inner.writer);
    let model = data_table_import::ActiveModel {
        tenant_id: Set(removed::REMOVED.0),
        created_at: Set(now),
        updated_at: Set(now),
        data_table_id: Set(table.0),
        state: Set(State::Running.as_str().to_owned()),
        format: Set(new.format.to_owned()),
        encoding: Set(new.encoding),
        delimiter: Set(new.delimiter.map(String::from)),
        rows_total: Set(new.rows_total),
        added: Set(0),
        skipped: Set(0),
        failed: Set(0),
        finished_at: Set(None),
        ..Default::default()
    }
    .insert(writer)
    .await?;
    batches::store::<data_table_import_batch::Entity>(scope, model.id, new.batches).await?;
    show(scope, table, &model).await
}

/// Makes a fully stored import visible to the tenant.
async fn show(
    scope: &Scope,
    table: DataTableId,
    model: &data_table_import::Model,
) -> Result<Import> {
    use data_table_import::{Column, Entity};
    let id = RowImportId(model.id);
    scope
        .record(async |transaction| {
            let gone = || super::missing(table);
            jobs::make_room::<Entity>(scope, &transaction, table.0, gone).await?;
            let shown = Entity::update_many()
                .col_expr(Column::TenantId, Expr::value(scope.tenant.0))
                .filter(Column::Id.eq(id.0))
                .exec_with_returning(&*transaction)
                .await?;
            let noted = json!({"import": {
                "id": id,
                "format": model.format,
                "rows_total": model.rows_total,
            }});
            let subject = subject(super::RESOURCE, table);
            scope
                .note_changed(&transaction, subject, &json!({}), &noted)
                .await?;
            let shown = shown.into_iter().next().ok_or_else(|| missing(id))?;
            Import::try_from(shown)
        })
        .await
}

/// Returns an import of a data table.
pub async fn get(scope: &Scope, table: DataTableId, id: RowImportId) -> Result<Import> {
    let found = jobs::get::<data_table_import::Entity>(scope, table.0, id.0).await?;
    found.try_into()
}

/// Returns a page of a data table's imports, newest first.
pub async fn list(
    scope: &Scope,
    table: DataTableId,
    stretch: &Stretch,
) -> Result<Page<Import, Place>> {
    let page = jobs::list::<data_table_import::Entity>(scope, table.0, stretch).await?;
    page.try_map(Import::try_from)
}

/// Returns a page of the rows that an import has refused, in the order of the file.
pub async fn failed_rows(
    scope: &Scope,
    id: RowImportId,
    stretch: &Stretch,
) -> Result<Page<FailedRow, Place>> {
    use data_table_import_row::{Column, Entity};
    let query = scope.find::<Entity>().filter(Column::ImportId.eq(id.0));
    let order = Order::by_key(Column::Number.into_expr(), false);
    let page = listing::section(scope, query, &order, stretch, |row| {
        Place::of_key(row.number)
    })
    .await?;
    Ok(page.map(|row| FailedRow {
        number: row.number,
        line: row.line,
        device_id: row.device_id,
        error: row.error,
    }))
}

/// Ends an import as failed after an internal error. Its waiting rows are deleted with it.
pub async fn give_up(scope: &Scope, id: RowImportId) -> Result<()> {
    jobs::give_up::<data_table_import::Entity>(scope, id.0).await
}

pub(super) fn missing(id: RowImportId) -> Error {
    Error::missing("import", id)
}

impl TryFrom<data_table_import::Model> for Import {
    type Error = Error;

    fn try_from(model: data_table_import::Model) -> Result<Self> {
        Ok(Self {
            id: RowImportId(model.id),
            state: words::of_column(data_table_import::Column::State, &model.state)?,
            format: model.format,
            encoding: model.encoding,
            delimiter: model.delimiter,
            rows_total: model.rows_total,
            added: model.added,
            skipped: model.skipped,
            failed: model.failed,
            created_at: model.created_at,
            updated_at: model.updated_at,
            finished_at: model.finished_at,
        })
    }
}
