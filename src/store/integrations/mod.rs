//! Integrations, which forward data to targets.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter,
    QuerySelect, sea_query::Expr,
};

use crate::{
    clock::Time,
    error::{Error, Result},
    id::{IntegrationId, TenantId},
    store::{
        core::{
            audit::subject,
            failure,
            handle::Store,
            json::to_json,
            listing::{self, Place, Resource, ResourceOrder, Sort, Stretch},
            page::Page,
            removed,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        entities::{integration, integration_health},
        integrations::health::HealthState,
    },
};

pub mod followed;
pub mod health;
pub mod policy;
pub(in crate::store) mod record;

pub use record::{Integration, NewIntegration};

/// Name of the resource in paths.
const RESOURCE: &str = "integrations";

/// Filter of integrations; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// True for enabled integrations, false for disabled ones.
    pub enabled: Option<bool>,
    /// Health state of the integrations.
    pub health: Option<HealthState>,
    /// Text that the name or description must contain, ignoring case.
    pub search: Option<String>,
}

impl Store {
    /// Returns the tenant of an integration, for clients that follow it with its own key.
    pub async fn find_tenant_of_integration(&self, id: IntegrationId) -> Result<Option<TenantId>> {
        let tenant: Option<i64> = integration::Entity::find_by_id(id.0)
            .filter(removed::is_live(integration::Column::TenantId.into_expr()))
            .select_only()
            .column(integration::Column::TenantId)
            .into_tuple()
            .one(&self.inner.reader)
            .await?;
        Ok(tenant.map(TenantId))
    }
}

/// Adds an integration. `seal` returns its credentials, sealed for the new row.
pub async fn insert(
    scope: &Scope,
    new: NewIntegration,
    seal: impl Fn(IntegrationId) -> Result<Option<Vec<u8>>>,
) -> Result<Integration> {
    let now = scope.now();
    scope
        .write(async |transaction| {
            let mut model = integration::ActiveModel {
                created_at: Set(now),
                ..columns(scope, new.clone(), now)?
            }
            .insert(&*transaction)
            .await
            .map_err(name_taken)?;
            if let Some(secret) = seal(IntegrationId(model.id))? {
                scope
                    .update::<integration::Entity>()
                    .col_expr(integration::Column::Secret, Expr::value(secret.clone()))
                    .filter(integration::Column::Id.eq(model.id))
                    .exec(&*transaction)
                    .await?;
                model.secret = Some(secret);
            }
            health::insert(scope, &transaction, model.id).await?;
            scope
                .note_created(&transaction, subject(RESOURCE, model.id), &new)
                .await?;
            (model, None).try_into()
        })
        .await
}

/// Returns an integration.
pub async fn get(scope: &Scope, id: IntegrationId) -> Result<Integration> {
    find(scope, id).await?.ok_or_else(|| missing(id))
}

/// Returns an integration, if it exists.
pub async fn find(scope: &Scope, id: IntegrationId) -> Result<Option<Integration>> {
    let found = scope
        .find::<integration::Entity>()
        .filter(integration::Column::Id.eq(id.0))
        .find_also_related(integration_health::Entity)
        .one(scope.reader())
        .await?;
    found.map(Integration::try_from).transpose()
}

/// Returns a page of the integrations.
pub async fn list(
    scope: &Scope,
    filter: &Filter,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<Integration, Place>> {
    let query = scope
        .find::<integration::Entity>()
        .find_also_related(integration_health::Entity)
        .filter(filter.condition());
    let page = listing::resources_with(scope, query, sort, stretch).await?;
    page.try_map(Integration::try_from)
}

impl Filter {
    fn condition(&self) -> Condition {
        let enabled = self.enabled;
        let search = self.search.as_ref();
        Condition::all()
            .add_option(enabled.map(|enabled| integration::Column::Enabled.eq(enabled)))
            .add_option(self.health.map(HealthState::condition))
            .add_option(search.map(|text| listing::holding(text, integration::Entity::SEARCHED)))
    }
}

impl Resource for integration::Entity {
    const KEY: Self::Column = integration::Column::Id;
    const NAME: Self::Column = integration::Column::Name;
    const UPDATED: Self::Column = integration::Column::UpdatedAt;
    const SEARCHED: &'static [Self::Column] =
        &[integration::Column::Name, integration::Column::Description];
}

/// Replaces an integration's configuration; `seal` derives the sealed credentials from the previous one.
pub async fn update(
    scope: &Scope,
    id: IntegrationId,
    new: NewIntegration,
    seal: impl Fn(&NewIntegration) -> Result<Option<Vec<u8>>>,
) -> Result<Integration> {
    scope
        .write(async |transaction| {
            let before = lock(scope, &transaction, id).await?;
            let revision = before.revision;
            let before = Integration::try_from((before, None))?.provisioned;
            let mut changed = columns(scope, new.clone(), scope.now())?;
            changed.revision = Set(revision + 1);
            changed.secret = Set(seal(&before)?);
            let after = change(scope, &transaction, id, changed).await?;
            scope
                .note_changed(&transaction, subject(RESOURCE, id), &before, &new)
                .await?;
            Ok(after)
        })
        .await
}

/// Replaces only the credentials; `seal` derives them from the previous configuration.
pub async fn set_secret(
    scope: &Scope,
    id: IntegrationId,
    seal: impl Fn(&NewIntegration) -> Result<Option<Vec<u8>>>,
) -> Result<Integration> {
    scope
        .write(async |transaction| {
            let model = lock(scope, &transaction, id).await?;
            let revision = model.revision + 1;
            let before = Integration::try_from((model, None))?.provisioned;
            let changed = integration::ActiveModel {
                secret: Set(seal(&before)?),
                revision: Set(revision),
                updated_at: Set(scope.now()),
                ..Default::default()
            };
            let after = change(scope, &transaction, id, changed).await?;
            scope
                .note_changed(&transaction, subject(RESOURCE, id), &before, &before)
                .await?;
            Ok(after)
        })
        .await
}

/// Removes an integration and returns it; its deliveries are deleted later.
pub async fn delete(scope: &Scope, id: IntegrationId) -> Result<Integration> {
    scope
        .write(async |transaction| {
            let model = lock(scope, &transaction, id).await?;
            let integration = with_health(scope, &transaction, model).await?;
            bury(&transaction, id.0).await?;
            scope
                .note_deleted(
                    &transaction,
                    subject(RESOURCE, id),
                    &integration.provisioned,
                )
                .await?;
            Ok(integration)
        })
        .await
}

/// Removes an integration whose row is locked.
pub(super) async fn bury(transaction: &DatabaseTransaction, id: i64) -> Result<(), DbErr> {
    removed::bury::<integration::Entity>(integration::Column::Name)
        .col_expr(integration::Column::Secret, Expr::value(None::<Vec<u8>>))
        .filter(integration::Column::Id.eq(id))
        .exec(transaction)
        .await?;
    integration_health::Entity::delete_by_id(id)
        .exec(transaction)
        .await?;
    Ok(())
}

/// Writes changed columns of a locked row; returns the new integration.
async fn change(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: IntegrationId,
    changed: integration::ActiveModel,
) -> Result<Integration> {
    let updated = scope
        .update::<integration::Entity>()
        .set(changed)
        .filter(integration::Column::Id.eq(id.0))
        .exec_with_returning(transaction)
        .await
        .map_err(name_taken)?;
    let model = updated.into_iter().next().ok_or_else(|| missing(id))?;
    with_health(scope, transaction, model).await
}

async fn with_health(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    model: integration::Model,
) -> Result<Integration> {
    let health = scope
        .find::<integration_health::Entity>()
        .filter(integration_health::Column::IntegrationId.eq(model.id))
        .one(transaction)
        .await?;
    Integration::try_from((model, health))
}

async fn lock(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: IntegrationId,
) -> Result<integration::Model> {
    let which = integration::Column::Id.eq(id.0);
    scope
        .lock::<integration::Entity>(transaction, which, || missing(id))
        .await
}

fn columns(scope: &Scope, new: NewIntegration, now: Time) -> Result<integration::ActiveModel> {
    let NewIntegration {
        name,
        description,
        selector,
        enabled,
        kind,
        settings,
        payload,
        events,
        delivery,
        secret: _,
    } = new;
    Ok(integration::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        updated_at: Set(now),
        name: Set(name),
        description: Set(description),
        selector: Set(selector),
        enabled: Set(enabled),
        kind: Set(kind),
        settings: Set(settings),
        payload: Set(payload),
        events: Set(to_json(&events)?),
        delivery: Set(to_json(&delivery)?),
        ..Default::default()
    })
}

fn missing(id: IntegrationId) -> Error {
    Error::missing("integration", id)
}

fn name_taken(error: DbErr) -> Error {
    failure::name_taken(error, "integration")
}
