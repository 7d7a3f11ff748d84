//! Tenants, which the operator of the installation manages; the only resource outside of tenants.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, DbErr, QueryFilter, QuerySelect,
    sea_query::LockType,
};
use serde::Serialize;

use super::{
    authority,
    users::{self, NewUser},
};
use crate::{
    clock::Time,
    error::{Error, Reason, Result},
    id::TenantId,
    store::{
        core::{
            audit::subject,
            failure,
            listing::{self, Place, Resource, ResourceOrder, Sort, Stretch},
            page::Page,
            removed,
            scope::Scope,
            signals::Then,
            transaction::DatabaseTransaction,
        },
        entities::{api_key, idempotency_key, tenant, user},
        removals,
    },
};

/// Properties of a tenant, as operators set them.
#[derive(Debug, Clone, Serialize)]
pub struct NewTenant {
    /// Name, unique in the installation.
    pub name: String,
    /// Time for which uplinks are kept, in days; `None` for the hub's setting.
    pub retention_days: Option<i32>,
}

/// Tenant of the installation.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Identifier of the tenant.
    pub id: TenantId,
    /// Properties, as operators set them.
    pub provisioned: NewTenant,
    /// Revision, which grows with every change.
    pub revision: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last change.
    pub updated_at: Time,
}

/// Locks the scope's tenant until the end of the transaction, which serializes callers. Transactions that change the
/// tenant's configuration take this lock at their end.
pub(in crate::store) async fn hold(scope: &Scope, transaction: &DatabaseTransaction) -> Result<()> {
    scope
        .find::<tenant::Entity>()
        .select_only()
        .column(tenant::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple::<i64>()
        .one(transaction)
        .await?;
    Ok(())
}

/// Adds a tenant with its first administrator.
pub async fn insert(scope: &Scope, new: NewTenant, administrator: NewUser) -> Result<Tenant> {
    let now = scope.now();
    scope
        .write(async |transaction| {
            authority::check_operator(scope, &transaction).await?;
            let model = tenant::ActiveModel {
                name: Set(new.name.clone()),
                retention_days: Set(new.retention_days),
                created_at: Set(now),
                updated_at: Set(now),
                revision: Set(1),
                ..Default::default()
            }
            .insert(&*transaction)
            .await
            .map_err(name_taken)?;
            let own = scope.store.scope(TenantId(model.id));
            users::add(&own, &transaction, administrator, false)
                .await
                .map_err(|error| error.within("administrator"))?;
            scope
                .note_created(&transaction, subject("tenants", model.id), &new)
                .await?;
            Ok(model.into())
        })
        .await
}

fn is_there(id: TenantId) -> Condition {
    Condition::all()
        .add(tenant::Column::Id.eq(id.0))
        .add(tenant::Column::RemovedAt.is_null())
}

/// Returns a tenant.
pub async fn get(scope: &Scope, id: TenantId) -> Result<Tenant> {
    let found = removed::live_tenants()
        .filter(is_there(id))
        .one(scope.reader())
        .await?;
    found.map(Tenant::from).ok_or_else(|| missing(id))
}

/// Returns a page of the tenants whose name contains the search text.
pub async fn list(
    scope: &Scope,
    search: Option<&str>,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<Tenant, Place>> {
    let query = removed::live_tenants().filter(
        Condition::all()
            .add_option(search.map(|text| listing::holding(text, tenant::Entity::SEARCHED))),
    );
    let page = listing::resources(scope, query, sort, stretch).await?;
    Ok(page.map(Tenant::from))
}

impl Resource for tenant::Entity {
    const KEY: Self::Column = tenant::Column::Id;
    const NAME: Self::Column = tenant::Column::Name;
    const UPDATED: Self::Column = tenant::Column::UpdatedAt;
    const SEARCHED: &'static [Self::Column] = &[tenant::Column::Name];
}

/// Replaces the properties of a tenant.
pub async fn update(scope: &Scope, id: TenantId, new: NewTenant) -> Result<Tenant> {
    scope
        .write(async |transaction| {
            authority::check_operator(scope, &transaction).await?;
            let before = of(scope, id)
                .lock::<tenant::Entity>(&transaction, is_there(id), || missing(id))
                .await?;
            let changed = tenant::ActiveModel {
                updated_at: Set(scope.now()),
                revision: Set(before.revision + 1),
                name: Set(new.name.clone()),
                retention_days: Set(new.retention_days),
                ..Default::default()
            };
            let updated = of(scope, id)
                .update::<tenant::Entity>()
                .set(changed)
                .exec_with_returning(&*transaction)
                .await
                .map_err(name_taken)?;
            let before = Tenant::from(before).provisioned;
            scope
                .note_changed(&transaction, subject("tenants", id), &before, &new)
                .await?;
            let updated = updated.into_iter().next().ok_or_else(|| missing(id))?;
            Ok(updated.into())
        })
        .await
}

/// Removes a tenant and returns it. Its users and keys are deleted, and it forwards and accepts nothing from then
/// on; the rest of its data is deleted later.
pub async fn delete(scope: &Scope, id: TenantId) -> Result<Tenant> {
    if id == scope.tenant {
        return Err(Error::of_field(
            Reason::WrongState,
            "id",
            "must not be your own tenant, which cannot be deleted",
        ));
    }
    scope
        .write(async |transaction| {
            authority::check_operator(scope, &transaction).await?;
            // Ends its subscriptions.
            transaction.then(Then::Connections);
            let removed = of(scope, id);
            // The tenant's parts are locked before the tenant itself, because all changes of them lock the tenant
            // last.
            removals::bury_targets(&transaction, id).await?;
            removed::hold::<user::Entity>(&transaction, id, user::Column::Id).await?;
            removed.delete::<user::Entity>().exec(&*transaction).await?;
            removed::hold::<api_key::Entity>(&transaction, id, api_key::Column::Id).await?;
            removed
                .delete::<api_key::Entity>()
                .exec(&*transaction)
                .await?;
            removed
                .delete::<idempotency_key::Entity>()
                .exec(&*transaction)
                .await?;
            let tenant = removed
                .lock::<tenant::Entity>(&transaction, is_there(id), || missing(id))
                .await?;
            removed::bury_tenant(&transaction, id, scope.now()).await?;
            let stored = removed.move_stored_epoch(&transaction).await?;
            transaction.then(Then::Moved(removed.epoch.clone(), stored));
            let tenant = Tenant::from(tenant);
            scope
                .note_deleted(&transaction, subject("tenants", id), &tenant.provisioned)
                .await?;
            Ok(tenant)
        })
        .await
}

/// Returns the scope of another tenant on behalf of the same call.
fn of(scope: &Scope, id: TenantId) -> Scope {
    Scope {
        call: scope.call.clone(),
        ..scope.store.scope(id)
    }
}

fn missing(id: TenantId) -> Error {
    Error::missing("tenant", id)
}

fn name_taken(error: DbErr) -> Error {
    failure::name_taken(error, "tenant")
}

impl From<tenant::Model> for Tenant {
    fn from(model: tenant::Model) -> Self {
        let tenant::Model {
            id,
            name,
            created_at,
            updated_at,
            revision,
            epoch: _,
            removed_at: _,
            retention_days,
            last_revision: _,
        } = model;
        Self {
            id: TenantId(id),
            provisioned: NewTenant {
                name,
                retention_days,
            },
            revision,
            created_at,
            updated_at,
        }
    }
}
