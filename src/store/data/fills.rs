//! Fills: jobs that add the rows of stored uplinks to a data table.

use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde_json::json;
use uuid::Uuid;

use crate::{
    clock::Time,
    error::{Error, Result},
    id::{DataTableId, FillId, TenantId},
    store::{
        core::{
            audit::subject,
            handle::Store,
            jobs::{self, State, owned_jobs},
            listing::{Place, Span, Stretch},
            page::Page,
            scope::Scope,
            words,
        },
        devices::walk::Walk,
        entities::{data_table, data_table_fill},
    },
};

owned_jobs!(data_table_fill of data_table by DataTableId: "fill", "fills are running");

/// Fill to create.
#[derive(Debug, Clone)]
pub struct NewFill {
    /// Start of the period in which the hub received the uplinks, inclusive; `None` for the oldest uplink.
    pub from: Option<Time>,
    /// End of the period, exclusive.
    pub to: Time,
    /// Identifier of the only device; `None` for all.
    pub device_id: Option<String>,
    /// True if rows that are there are replaced.
    pub is_replacing: bool,
}

/// Fill of a data table from stored uplinks.
#[derive(Debug, Clone)]
pub struct Fill {
    /// Identifier of the fill.
    pub id: FillId,
    /// Data table.
    pub table: DataTableId,
    /// Selection of uplinks.
    pub new: NewFill,
    /// Progress of the fill.
    pub state: State,
    /// Last uplink looked at; `None` at the start.
    pub position: Option<Uuid>,
    /// Number of uplinks looked at.
    pub uplinks: i64,
    /// Number of rows added.
    pub rows: i64,
    /// Number of rows deleted, because they were replaced.
    pub deleted: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last progress.
    pub updated_at: Time,
    /// Time at which the fill ended; `None` until then.
    pub finished_at: Option<Time>,
}

impl Fill {
    /// Returns the walk over the uplinks that are left.
    pub fn walk(&self) -> Walk {
        Walk {
            span: Span {
                from: self.new.from,
                to: Some(self.new.to),
            },
            device_id: self.new.device_id.clone(),
            position: self.position,
        }
    }
}

impl Store {
    /// Returns the unfinished fills of all tenants.
    pub async fn running_fills(&self) -> Result<Vec<(TenantId, FillId)>> {
        jobs::unfinished::<data_table_fill::Entity, _>(self, FillId).await
    }
}

/// Creates a fill.
pub async fn insert(scope: &Scope, table: DataTableId, new: NewFill) -> Result<Fill> {
    let now = scope.now();
    scope
        .record(async |transaction| {
            let missing = || super::missing(table);
            jobs::make_room::<data_table_fill::Entity>(scope, &transaction, table.0, missing)
                .await?;
            let model = data_table_fill::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                created_at: Set(now),
                updated_at: Set(now),
                data_table_id: Set(table.0),
                state: Set(State::Running.as_str().to_owned()),
                span_from: Set(new.from),
                span_to: Set(new.to),
                device_id: Set(new.device_id),
                position: Set(None),
                uplinks: Set(0),
                rows_added: Set(0),
                finished_at: Set(None),
                is_replacing: Set(new.is_replacing),
                rows_deleted: Set(0),
                ..Default::default()
            }
            .insert(&*transaction)
            .await?;
            let noted = json!({"fill": {
                "id": model.id,
                "device_id": model.device_id,
                "from": new.from,
                "to": new.to,
                "replace": new.is_replacing,
            }});
            let subject = subject(super::RESOURCE, table);
            scope
                .note_changed(&transaction, subject, &json!({}), &noted)
                .await?;
            model.try_into()
        })
        .await
}

/// Returns a fill of any data table.
pub async fn find(scope: &Scope, id: FillId) -> Result<Option<Fill>> {
    let found = jobs::find::<data_table_fill::Entity>(scope, id.0).await?;
    found.map(Fill::try_from).transpose()
}

/// Returns a fill of a data table.
pub async fn get(scope: &Scope, table: DataTableId, id: FillId) -> Result<Fill> {
    let found = jobs::get::<data_table_fill::Entity>(scope, table.0, id.0).await?;
    found.try_into()
}

/// Returns a page of a data table's fills, newest first.
pub async fn list(
    scope: &Scope,
    table: DataTableId,
    stretch: &Stretch,
) -> Result<Page<Fill, Place>> {
    let page = jobs::list::<data_table_fill::Entity>(scope, table.0, stretch).await?;
    page.try_map(Fill::try_from)
}

/// Ends a fill as failed after an internal error.
pub async fn give_up(scope: &Scope, id: FillId) -> Result<()> {
    jobs::give_up::<data_table_fill::Entity>(scope, id.0).await
}

impl TryFrom<data_table_fill::Model> for Fill {
    type Error = Error;

    fn try_from(model: data_table_fill::Model) -> Result<Self> {
        Ok(Self {
            id: FillId(model.id),
            table: DataTableId(model.data_table_id),
            new: NewFill {
                from: model.span_from,
                to: model.span_to,
                device_id: model.device_id,
                is_replacing: model.is_replacing,
            },
            state: words::of_column(data_table_fill::Column::State, &model.state)?,
            position: model.position,
            uplinks: model.uplinks,
            rows: model.rows_added,
            deleted: model.rows_deleted,
            created_at: model.created_at,
            updated_at: model.updated_at,
            finished_at: model.finished_at,
        })
    }
}
