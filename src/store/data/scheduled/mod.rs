//! Scheduled exports of data tables.

mod record;

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, LockType},
};
use uuid::Uuid;

use self::record::columns;
pub use self::record::{FileForm, FileFormat, NewExport, ScheduledExport};
use crate::{
    clock::Time,
    error::{Error, Reason, Result},
    id::{DataTableId, ExportId, TenantId},
    store::{
        core::{
            audit::subject,
            failure,
            handle::Store,
            listing::{self, Place, Resource, ResourceOrder, Sort, Stretch},
            page::Page,
            removed,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        entities::{data_table, export_run, scheduled_export},
    },
};

/// Name of the resource in paths.
pub(super) const RESOURCE: &str = "scheduled-exports";
/// Maximum number of scheduled exports per data table.
pub const EXPORTS_MAX: u64 = 20;

/// Filter of scheduled exports; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// True for enabled exports, false for disabled ones.
    pub enabled: Option<bool>,
    /// Text that the name must contain, ignoring case.
    pub search: Option<String>,
}

impl Store {
    /// Returns the exports that have something to do now.
    pub async fn due_exports(&self, limit: u64) -> Result<Vec<(TenantId, ExportId)>> {
        let now = self.now();
        let mut due: Vec<(i64, i64)> = scheduled_export::Entity::find()
            .filter(scheduled_export::Column::NextRunAt.lte(now))
            .filter(removed::is_live(
                scheduled_export::Column::TenantId.into_expr(),
            ))
            .order_by_asc(scheduled_export::Column::NextRunAt)
            .limit(limit)
            .select_only()
            .column(scheduled_export::Column::TenantId)
            .column(scheduled_export::Column::Id)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let begun: Vec<(i64, i64)> = export_run::Entity::find()
            .filter(export_run::Column::DueAt.lte(now))
            .filter(removed::is_live(export_run::Column::TenantId.into_expr()))
            .order_by_asc(export_run::Column::DueAt)
            .limit(limit)
            .select_only()
            .column(export_run::Column::TenantId)
            .column(export_run::Column::ExportId)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        due.extend(begun);
        due.sort_unstable();
        due.dedup();
        let typed = |(tenant, id)| (TenantId(tenant), ExportId(id));
        Ok(due.into_iter().map(typed).collect())
    }
}

/// Adds a scheduled export, which has exported all rows up to `position`. `seal` returns its credentials, sealed for the
/// new row.
pub async fn insert(
    scope: &Scope,
    table: DataTableId,
    new: NewExport,
    next_run_at: Option<Time>,
    position: Option<Uuid>,
    seal: impl Fn(ExportId) -> Result<Option<Vec<u8>>>,
) -> Result<ScheduledExport> {
    use scheduled_export::Column;
    let now = scope.now();
    scope
        .write(async |transaction| {
            // Locked, so that each of two concurrent calls counts the other's export.
            scope
                .find::<data_table::Entity>()
                .filter(data_table::Column::Id.eq(table.0))
                .lock(LockType::NoKeyUpdate)
                .one(&*transaction)
                .await?
                .ok_or_else(|| super::missing(table))?;
            let present = scope
                .find::<scheduled_export::Entity>()
                .filter(Column::DataTableId.eq(table.0))
                .count(&*transaction)
                .await?;
            if present >= EXPORTS_MAX {
                return Err(Error::rejected(
                    Reason::LimitReached,
                    format!("a data table can have {EXPORTS_MAX} scheduled exports"),
                ));
            }
            let mut model = scheduled_export::ActiveModel {
                created_at: Set(now),
                data_table_id: Set(table.0),
                next_run_at: Set(next_run_at),
                position: Set(position),
                runs: Set(0),
                ..columns(scope, new.clone(), now)?
            }
            .insert(&*transaction)
            .await
            .map_err(name_taken)?;
            if let Some(secret) = seal(ExportId(model.id))? {
                scope
                    .update::<scheduled_export::Entity>()
                    .col_expr(Column::Secret, Expr::value(secret.clone()))
                    .filter(Column::Id.eq(model.id))
                    .exec(&*transaction)
                    .await?;
                model.secret = Some(secret);
            }
            scope
                .note_created(&transaction, subject(RESOURCE, model.id), &new)
                .await?;
            Ok(model.try_into()?)
        })
        .await
}

/// Returns a scheduled export of a data table.
pub async fn get(scope: &Scope, table: DataTableId, id: ExportId) -> Result<ScheduledExport> {
    let found = scope
        .find::<scheduled_export::Entity>()
        .filter(scheduled_export::Column::Id.eq(id.0))
        .filter(scheduled_export::Column::DataTableId.eq(table.0))
        .one(scope.reader())
        .await?;
    Ok(found.ok_or_else(|| missing(id))?.try_into()?)
}

/// Returns a page of a data table's scheduled exports.
pub async fn list(
    scope: &Scope,
    table: DataTableId,
    filter: &Filter,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<ScheduledExport, Place>> {
    use scheduled_export::Column;
    let search = filter.search.as_ref();
    let condition = Condition::all()
        .add(Column::DataTableId.eq(table.0))
        .add_option(filter.enabled.map(|enabled| Column::Enabled.eq(enabled)))
        .add_option(search.map(|text| listing::holding(text, scheduled_export::Entity::SEARCHED)));
    let query = scope.find::<scheduled_export::Entity>().filter(condition);
    let page = listing::resources(scope, query, sort, stretch).await?;
    page.try_map(|model| Ok(model.try_into()?))
}

impl Resource for scheduled_export::Entity {
    const KEY: Self::Column = scheduled_export::Column::Id;
    const NAME: Self::Column = scheduled_export::Column::Name;
    const UPDATED: Self::Column = scheduled_export::Column::UpdatedAt;
    const SEARCHED: &'static [Self::Column] = &[scheduled_export::Column::Name];
}

/// Replaces the configuration of an export; `seal` derives the sealed credentials from the previous one. The time of the
/// next run stays if the schedule does.
pub async fn update(
    scope: &Scope,
    table: DataTableId,
    id: ExportId,
    new: NewExport,
    next_run_at: Option<Time>,
    seal: impl Fn(&NewExport) -> Result<Option<Vec<u8>>>,
) -> Result<ScheduledExport> {
    scope
        .write(async |transaction| {
            let before = lock(scope, &transaction, table, id).await?;
            let revision = before.revision;
            let before = ScheduledExport::try_from(before)?;
            let mut changed = columns(scope, new.clone(), scope.now())?;
            changed.revision = Set(revision + 1);
            changed.secret = Set(seal(&before.provisioned)?);
            if !new.has_schedule_of(&before.provisioned) {
                changed.next_run_at = Set(next_run_at);
            }
            let updated = scope
                .update::<scheduled_export::Entity>()
                .set(changed)
                .filter(scheduled_export::Column::Id.eq(id.0))
                .exec_with_returning(&*transaction)
                .await
                .map_err(name_taken)?;
            scope
                .note_changed(
                    &transaction,
                    subject(RESOURCE, id),
                    &before.provisioned,
                    &new,
                )
                .await?;
            let updated = updated.into_iter().next().ok_or_else(|| missing(id))?;
            Ok(updated.try_into()?)
        })
        .await
}

/// Removes an export and returns it; its runs are deleted later.
pub async fn delete(scope: &Scope, table: DataTableId, id: ExportId) -> Result<ScheduledExport> {
    scope
        .write(async |transaction| {
            let model = lock(scope, &transaction, table, id).await?;
            let export = ScheduledExport::try_from(model)?;
            bury(&transaction, vec![id.0]).await?;
            scope
                .note_deleted(&transaction, subject(RESOURCE, id), &export.provisioned)
                .await?;
            Ok(export)
        })
        .await
}

/// Removes the exports of a data table that is being removed.
pub(super) async fn bury_of(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    table: DataTableId,
) -> Result<()> {
    let keys: Vec<i64> = scope
        .find::<scheduled_export::Entity>()
        .filter(scheduled_export::Column::DataTableId.eq(table.0))
        .order_by_asc(scheduled_export::Column::Id)
        .lock(LockType::Update)
        .select_only()
        .column(scheduled_export::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    Ok(bury(transaction, keys).await?)
}

/// Removes exports whose rows are locked.
pub(in crate::store) async fn bury(
    transaction: &DatabaseTransaction,
    keys: Vec<i64>,
) -> Result<(), DbErr> {
    use scheduled_export::Column;
    if keys.is_empty() {
        return Ok(());
    }
    removed::bury::<scheduled_export::Entity>(Column::Name)
        .col_expr(Column::Secret, Expr::value(None::<Vec<u8>>))
        .col_expr(Column::NextRunAt, Expr::value(None::<Time>))
        .filter(Column::Id.is_in(keys.clone()))
        .exec(transaction)
        .await?;
    export_run::Entity::update_many()
        .col_expr(
            export_run::Column::TenantId,
            Expr::value(removed::REMOVED.0),
        )
        .col_expr(export_run::Column::DueAt, Expr::value(None::<Time>))
        .filter(export_run::Column::ExportId.is_in(keys))
        .filter(export_run::Column::DueAt.is_not_null())
        .exec(transaction)
        .await?;
    Ok(())
}

async fn lock(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    table: DataTableId,
    id: ExportId,
) -> Result<scheduled_export::Model> {
    let which = Condition::all()
        .add(scheduled_export::Column::Id.eq(id.0))
        .add(scheduled_export::Column::DataTableId.eq(table.0));
    scope
        .lock::<scheduled_export::Entity>(transaction, which, || missing(id))
        .await
}

pub(super) fn missing(id: ExportId) -> Error {
    Error::missing("scheduled export", id)
}

fn name_taken(error: DbErr) -> Error {
    failure::name_taken(error, "scheduled export")
}
