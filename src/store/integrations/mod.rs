//! Integrations: where data is forwarded to.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter,
    QuerySelect, sea_query::Expr,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    Page, Scope, Store,
    entities::{self, integration},
};
use crate::store::removals;
use crate::{
    clock::{self, Time},
    error::{Error, Result},
    id::{IntegrationId, TenantId},
    secret::Stored,
    store::{
        core::{
            audit::subject,
            failure,
            listing::{self, Place, Resource, ResourceOrder, Sort, Stretch},
            transaction::DatabaseTransaction,
        },
        integrations::{
            health::{Health, HealthState},
            policy::{EventType, Policy},
        },
    },
};

pub mod followed;
pub mod health;
pub mod policy;

/// The resource's name in paths.
const RESOURCE: &str = "integrations";

/// What a client provisions.
#[derive(Debug, Clone, Serialize)]
pub struct NewIntegration {
    /// Unique in the tenant.
    pub name: String,
    /// For people.
    pub description: String,
    /// Which devices' data it forwards.
    pub selector: String,
    /// Whether it takes and sends anything.
    pub enabled: bool,
    /// What kind of target it has.
    pub kind: String,
    /// What the target's sender needs to know.
    pub settings: Value,
    /// The form in which messages go out.
    pub payload: Value,
    /// The types of events that it forwards.
    pub events: Vec<EventType>,
    /// The rules of its deliveries.
    pub delivery: Policy,
    /// Sealed credentials.
    #[serde(skip)]
    pub secret: Option<Vec<u8>>,
}

/// An integration.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Its id.
    pub id: IntegrationId,
    /// What was provisioned.
    pub provisioned: NewIntegration,
    /// How it fares.
    pub health: Health,
    /// Grows with every change by a client.
    pub revision: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// Which integrations.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those that take and send, or those that do not.
    pub enabled: Option<bool>,
    /// Those that fare so.
    pub health: Option<HealthState>,
    /// Those with this in name or description, whatever its case.
    pub search: Option<String>,
}

impl Store {
    /// Whose integration it is, for those who follow it with its own key.
    pub async fn find_tenant_of_integration(&self, id: IntegrationId) -> Result<Option<TenantId>> {
        let tenant: Option<i64> = integration::Entity::find_by_id(id.0)
            .filter(removals::is_live(integration::Column::TenantId.into_expr()))
            .select_only()
            .column(integration::Column::TenantId)
            .into_tuple()
            .one(&self.inner.reader)
            .await?;
        Ok(tenant.map(TenantId))
    }
}

impl NewIntegration {
    /// What its row stores of secrets, and of where they are sent.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            settings: &self.settings,
            secret: self.secret.as_deref(),
        }
    }

    /// As what it forwards uplinks, if it does.
    pub fn uplink_events(&self) -> Vec<EventType> {
        let events = self.events.iter().copied();
        events.filter(|event| event.is_uplink()).collect()
    }
}

/// Adds an integration; `seal` makes its credentials, which are bound to the row that it becomes.
pub async fn insert(
    scope: &Scope,
    new: NewIntegration,
    seal: impl Fn(IntegrationId) -> Result<Option<Vec<u8>>>,
) -> Result<Integration> {
    let now = clock::now();
    scope
        .write(async |transaction| {
            let mut model = integration::ActiveModel {
                created_at: Set(now),
                ..columns(scope, new.clone(), now)
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
            Ok((model, None).into())
        })
        .await
}

/// One integration.
pub async fn get(scope: &Scope, id: IntegrationId) -> Result<Integration> {
    find(scope, id).await?.ok_or_else(|| missing(id))
}

/// One integration, where there is one.
pub async fn find(scope: &Scope, id: IntegrationId) -> Result<Option<Integration>> {
    Ok(scope
        .find::<integration::Entity>()
        .filter(integration::Column::Id.eq(id.0))
        .find_also_related(entities::integration_health::Entity)
        .one(scope.reader())
        .await?
        .map(Integration::from))
}

/// A stretch of the integrations.
pub async fn list(
    scope: &Scope,
    filter: &Filter,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<Integration, Place>> {
    type Entity = integration::Entity;
    let query = scope
        .find::<Entity>()
        .find_also_related(entities::integration_health::Entity)
        .filter(filter.condition());
    let total = listing::total(scope, &query, stretch).await?;
    let query = sort.order::<Entity>().of(query, stretch)?;
    let found = query.all(scope.reader()).await?;
    let place = |(model, _): &(integration::Model, _)| sort.place::<Entity>(model);
    let page = Page::cut(found, stretch.limit, place).of(total);
    Ok(page.map(Integration::from))
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

/// Replaces what was provisioned. `seal` makes the credentials from what was there.
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
            let before = Integration::from((before, None)).provisioned;
            let mut changed = columns(scope, new.clone(), clock::now());
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

/// Changes the credentials alone; `seal` makes them from what was there.
pub async fn set_secret(
    scope: &Scope,
    id: IntegrationId,
    seal: impl Fn(&NewIntegration) -> Result<Option<Vec<u8>>>,
) -> Result<Integration> {
    scope
        .write(async |transaction| {
            let model = lock(scope, &transaction, id).await?;
            let revision = model.revision + 1;
            let before = Integration::from((model, None)).provisioned;
            let changed = integration::ActiveModel {
                secret: Set(seal(&before)?),
                revision: Set(revision),
                updated_at: Set(clock::now()),
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

/// Removes an integration; its deliveries are cleared away later. Answers what was removed.
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

/// Takes an integration whose row is held out of sight.
pub(super) async fn bury(transaction: &DatabaseTransaction, id: i64) -> Result<(), DbErr> {
    removals::bury::<integration::Entity>(integration::Column::Name)
        .col_expr(integration::Column::Secret, Expr::value(None::<Vec<u8>>))
        .filter(integration::Column::Id.eq(id))
        .exec(transaction)
        .await?;
    entities::integration_health::Entity::delete_by_id(id)
        .exec(transaction)
        .await?;
    Ok(())
}

/// Writes the columns of a change of a row that is locked; answers the integration as it is then.
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
        .find::<entities::integration_health::Entity>()
        .filter(entities::integration_health::Column::IntegrationId.eq(model.id))
        .one(transaction)
        .await?;
    Ok(Integration::from((model, health)))
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

fn columns(scope: &Scope, new: NewIntegration, now: Time) -> integration::ActiveModel {
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
    integration::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        updated_at: Set(now),
        name: Set(name),
        description: Set(description),
        selector: Set(selector),
        enabled: Set(enabled),
        kind: Set(kind),
        settings: Set(settings),
        payload: Set(payload),
        events: Set(serde_json::to_value(events).unwrap_or_default()),
        delivery: Set(serde_json::to_value(delivery).unwrap_or_default()),
        ..Default::default()
    }
}

fn missing(id: IntegrationId) -> Error {
    Error::missing("integration", id)
}

fn name_taken(error: DbErr) -> Error {
    failure::name_taken(error, "integration")
}

impl
    From<(
        integration::Model,
        Option<entities::integration_health::Model>,
    )> for Integration
{
    fn from(
        (model, health): (
            integration::Model,
            Option<entities::integration_health::Model>,
        ),
    ) -> Self {
        let integration::Model {
            tenant_id: _,
            id,
            created_at,
            updated_at,
            revision,
            name,
            description,
            selector,
            enabled,
            kind,
            settings,
            payload,
            secret,
            events,
            delivery,
        } = model;
        Self {
            id: IntegrationId(id),
            provisioned: NewIntegration {
                name,
                description,
                selector,
                enabled,
                kind,
                settings,
                payload,
                // Both were checked when they were stored.
                events: serde_json::from_value(events).unwrap_or_default(),
                delivery: serde_json::from_value(delivery).unwrap_or_default(),
                secret,
            },
            health: health.map(Health::from).unwrap_or_default(),
            revision,
            created_at,
            updated_at,
        }
    }
}
