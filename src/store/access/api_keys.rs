//! API keys, with which programs authenticate.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, DbErr, QueryFilter,
    sea_query::{Expr, ExprTrait},
};
use serde::Serialize;
use serde_json::json;

use super::authority;
use crate::{
    clock::Time,
    error::{Error, Result},
    id::ApiKeyId,
    store::{
        core::{
            audit::subject,
            failure,
            listing::{self, Place, Resource, ResourceOrder, Sort, Stretch},
            page::Page,
            scope::Scope,
        },
        entities::api_key,
    },
};

/// Key to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewApiKey {
    /// Name, unique in the tenant.
    pub name: String,
    /// Permissions, as in [`crate::hub::KeyScope`].
    pub scopes: Vec<String>,
    /// End of validity; `None` for unlimited validity.
    pub expires_at: Option<Time>,
}

/// API key, without the secret itself.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Identifier of the key.
    pub id: ApiKeyId,
    /// Name, permissions and validity.
    pub made: NewApiKey,
    /// Time of the last use, accurate to a minute.
    pub last_used_at: Option<Time>,
    /// Time of creation.
    pub created_at: Time,
    /// Equal to the time of creation, because a key does not change.
    pub updated_at: Time,
}

/// Filter of API keys; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// True for expired keys, false for valid ones.
    pub expired: Option<bool>,
    /// Time before which the keys expire.
    pub expires_before: Option<Time>,
    /// Text that the name must contain, ignoring case.
    pub search: Option<String>,
}

/// Adds a key by its hash.
pub async fn insert(scope: &Scope, new: NewApiKey, key_hash: &[u8; 32]) -> Result<ApiKey> {
    let now = scope.now();
    scope
        .write(async |transaction| {
            authority::check_administrator(scope, &transaction).await?;
            let model = api_key::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                created_at: Set(now),
                updated_at: Set(now),
                name: Set(new.name.clone()),
                key_hash: Set(key_hash.to_vec()),
                scopes: Set(json!(new.scopes)),
                expires_at: Set(new.expires_at),
                last_used_at: Set(None),
                ..Default::default()
            }
            .insert(&*transaction)
            .await
            .map_err(name_taken)?;
            scope
                .note_created(&transaction, subject("api-keys", model.id), &new)
                .await?;
            model.try_into()
        })
        .await
}

/// Returns a key.
pub async fn get(scope: &Scope, id: ApiKeyId) -> Result<ApiKey> {
    scope
        .find::<api_key::Entity>()
        .filter(api_key::Column::Id.eq(id.0))
        .one(scope.reader())
        .await?
        .ok_or_else(|| missing(id))?
        .try_into()
}

/// Returns a page of the keys.
pub async fn list(
    scope: &Scope,
    filter: &Filter,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<ApiKey, Place>> {
    let query = scope
        .find::<api_key::Entity>()
        .filter(filter.condition(scope.now()));
    let page = listing::resources(scope, query, sort, stretch).await?;
    page.try_map(ApiKey::try_from)
}

impl Filter {
    fn condition(&self, now: Time) -> Condition {
        use api_key::Column;
        let expired = self.expired.map(|expired| {
            let ended = Column::ExpiresAt.lte(now);
            match expired {
                true => Condition::all().add(ended),
                false => Condition::any()
                    .add(Column::ExpiresAt.is_null())
                    .add(ended.not()),
            }
        });
        let search = self.search.as_ref();
        Condition::all()
            .add_option(expired)
            .add_option(self.expires_before.map(|time| Column::ExpiresAt.lt(time)))
            .add_option(search.map(|text| listing::holding(text, api_key::Entity::SEARCHED)))
    }
}

impl Resource for api_key::Entity {
    const KEY: Self::Column = api_key::Column::Id;
    const NAME: Self::Column = api_key::Column::Name;
    const UPDATED: Self::Column = api_key::Column::UpdatedAt;
    const SEARCHED: &'static [Self::Column] = &[api_key::Column::Name];
}

/// Deletes a key and returns it; it becomes invalid at once.
pub async fn delete(scope: &Scope, id: ApiKeyId) -> Result<ApiKey> {
    scope
        .write(async |transaction| {
            authority::check_administrator(scope, &transaction).await?;
            let which = api_key::Column::Id.eq(id.0);
            let key: ApiKey = scope
                .lock::<api_key::Entity>(&transaction, which, || missing(id))
                .await?
                .try_into()?;
            scope
                .delete::<api_key::Entity>()
                .filter(api_key::Column::Id.eq(id.0))
                .exec(&*transaction)
                .await?;
            scope
                .note_deleted(&transaction, subject("api-keys", id), &key.made)
                .await?;
            Ok(key)
        })
        .await
}

/// Records the use of a key.
pub async fn touch(scope: &Scope, id: ApiKeyId) -> Result<()> {
    scope
        .update::<api_key::Entity>()
        .col_expr(api_key::Column::LastUsedAt, Expr::value(scope.now()))
        .filter(api_key::Column::Id.eq(id.0))
        .exec(&scope.store.inner.writer)
        .await?;
    Ok(())
}

fn missing(id: ApiKeyId) -> Error {
    Error::missing("API key", id)
}

fn name_taken(error: DbErr) -> Error {
    failure::name_taken(error, "API key")
}

impl TryFrom<api_key::Model> for ApiKey {
    type Error = Error;

    fn try_from(model: api_key::Model) -> Result<Self> {
        let api_key::Model {
            tenant_id: _,
            id,
            created_at,
            updated_at,
            name,
            key_hash: _,
            scopes,
            expires_at,
            last_used_at,
        } = model;
        Ok(Self {
            id: ApiKeyId(id),
            made: NewApiKey {
                name,
                scopes: serde_json::from_value(scopes).map_err(Error::internal)?,
                expires_at,
            },
            last_used_at,
            created_at,
            updated_at,
        })
    }
}
