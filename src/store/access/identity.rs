//! Identification of callers: the only queries without a tenant, because they determine it.

use std::collections::HashMap;

use chrono::TimeDelta;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, sea_query::Expr,
};

use super::{
    api_keys::ApiKey,
    users::{self, NewUser},
};
use crate::{
    clock::Time,
    error::{Error, Result},
    id::{ConnectionId, TenantId},
    store::{
        access::user::{Person, Profile, User},
        core::{
            gather::{Gather, padded},
            handle::Store,
            migrating,
            reader::Reader,
            removed,
            scope::Scope,
        },
        entities::{api_key, network_connection, session, tenant, user},
    },
    username,
};

/// Active login session.
#[derive(Debug, Clone)]
pub struct Session {
    /// User of the session.
    pub user: User,
    /// Time at which the session expires.
    pub expires_at: Time,
}

/// Group read of sessions by the hash of the token.
pub(in crate::store) type Sessions = Gather<[u8; 32], Session>;
/// Group read of API keys by the hash of the key.
pub(in crate::store) type ApiKeys = Gather<[u8; 32], (TenantId, ApiKey)>;

impl Store {
    /// Returns the user with this name, ignoring case.
    pub async fn find_user(&self, username: &str) -> Result<Option<User>> {
        let found = user::Entity::find()
            .filter(user::Column::UsernameFolded.eq(username::folded(username)))
            .one(&self.inner.reader)
            .await?;
        Ok(found.map(User::from))
    }

    /// Returns all users of the installation, by tenant and name.
    pub async fn all_users(&self) -> Result<Vec<User>> {
        let found = user::Entity::find()
            .filter(removed::is_live(user::Column::TenantId.into_expr()))
            .order_by_asc(user::Column::TenantId)
            .order_by_asc(user::Column::UsernameFolded)
            .all(&self.inner.reader)
            .await?;
        Ok(found.into_iter().map(User::from).collect())
    }

    /// Returns all tenants with their names, the first one first.
    pub async fn tenant_names(&self) -> Result<Vec<(TenantId, String)>> {
        let found = removed::live_tenants()
            .select_only()
            .column(tenant::Column::Id)
            .column(tenant::Column::Name)
            .order_by_asc(tenant::Column::Id)
            .into_tuple::<(i64, String)>()
            .all(&self.inner.reader)
            .await?;
        let named = |(id, name)| (TenantId(id), name);
        Ok(found.into_iter().map(named).collect())
    }

    /// Returns the session with this token hash. Fails if it has expired and is still stored.
    pub async fn find_session(&self, token_hash: &[u8; 32]) -> Result<Option<Session>> {
        match self.kept::<Sessions>().get(*token_hash).await? {
            Some(session) if session.expires_at <= self.now() => {
                Err(Error::Expired("this session"))
            }
            found => Ok(found),
        }
    }

    /// Returns the API key with this hash, and its tenant. Fails if it has expired.
    pub async fn find_api_key(&self, key_hash: &[u8; 32]) -> Result<Option<(TenantId, ApiKey)>> {
        let found = self.kept::<ApiKeys>().get(*key_hash).await?;
        let end = found.as_ref().and_then(|(_, key)| key.made.expires_at);
        match end {
            Some(end) if end <= self.now() => Err(Error::Expired("this API key")),
            _ => Ok(found),
        }
    }

    /// Returns the tenant of a network connection. Everything else about it is read in that tenant's scope.
    pub async fn find_tenant_of_connection(&self, id: ConnectionId) -> Result<Option<TenantId>> {
        let tenant = network_connection::Entity::find_by_id(id.0)
            .filter(removed::is_live(
                network_connection::Column::TenantId.into_expr(),
            ))
            .select_only()
            .column(network_connection::Column::TenantId)
            .into_tuple::<i64>()
            .one(&self.inner.reader)
            .await?;
        Ok(tenant.map(TenantId))
    }

    /// Creates the first tenant and its administrator; returns false if there are tenants already.
    pub async fn seed(&self, tenant: &str, username: &str, password_hash: &str) -> Result<bool> {
        let transaction = self.begin([]).await?;
        migrating::lock_seed(&transaction).await?;
        if removed::live_tenants().count(&transaction).await? > 0 {
            transaction.rollback().await;
            return Ok(false);
        }
        let now = self.now();
        let tenant = tenant::ActiveModel {
            name: Set(tenant.to_owned()),
            created_at: Set(now),
            updated_at: Set(now),
            revision: Set(1),
            ..Default::default()
        }
        .insert(&transaction)
        .await?;
        let administrator = NewUser {
            username: username.to_owned(),
            profile: Profile {
                person: Person::default(),
                role: users::ADMIN.to_owned(),
                locked: false,
            },
            password_hash: password_hash.to_owned(),
        };
        let scope = self.scope(TenantId(tenant.id));
        users::add(&scope, &transaction, administrator, true).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// True if the database has a tenant.
    pub async fn is_seeded(&self) -> Result<bool> {
        Ok(removed::live_tenants().count(&self.inner.reader).await? > 0)
    }
}

/// Starts a group read of sessions, which serves concurrent requests with one query.
pub(in crate::store) fn gather(reader: Reader) -> Sessions {
    Gather::start(move |hashes| load(reader.clone(), hashes))
}

async fn load(reader: Reader, hashes: Vec<[u8; 32]>) -> Result<HashMap<[u8; 32], Session>> {
    let hashes = padded(hashes).into_iter().map(|hash| hash.to_vec());
    let found = session::Entity::find()
        .filter(session::Column::TokenHash.is_in(hashes))
        .find_also_related(user::Entity)
        .all(&reader)
        .await?;
    let sessions = found.into_iter().filter_map(|(session, user)| {
        let expires_at = session.expires_at;
        let user = User::from(user.filter(|user| !user.locked)?);
        Some((
            session.token_hash.try_into().ok()?,
            Session { user, expires_at },
        ))
    });
    Ok(sessions.collect())
}

/// Starts a group read of API keys, which serves concurrent requests with one query.
pub(in crate::store) fn gather_keys(reader: Reader) -> ApiKeys {
    Gather::start(move |hashes| load_keys(reader.clone(), hashes))
}

async fn load_keys(
    reader: Reader,
    hashes: Vec<[u8; 32]>,
) -> Result<HashMap<[u8; 32], (TenantId, ApiKey)>> {
    let hashes = padded(hashes).into_iter().map(|hash| hash.to_vec());
    let found = api_key::Entity::find()
        .filter(api_key::Column::KeyHash.is_in(hashes))
        .all(&reader)
        .await?;
    let mut keys = HashMap::with_capacity(found.len());
    for model in found {
        let tenant = TenantId(model.tenant_id);
        if let Ok(hash) = model.key_hash.clone().try_into() {
            keys.insert(hash, (tenant, ApiKey::try_from(model)?));
        }
    }
    Ok(keys)
}

/// Creates a session, records the login, and deletes the user's expired sessions. Returns `None` if the user was
/// locked or deleted, or the password changed, since the password was compared.
pub async fn open_session(
    scope: &Scope,
    compared: &User,
    token_hash: &[u8; 32],
    life: TimeDelta,
) -> Result<Option<Session>> {
    let now = scope.now();
    let expires_at = now + life;
    let id = compared.id;
    let user = scope
        .keep(async |transaction| {
            let transaction = &*transaction;
            let held = match users::hold(scope, transaction, id).await {
                Err(Error::NotFound(_)) => return Ok(None),
                held => held?,
            };
            if held.profile.locked || held.password_hash != compared.password_hash {
                return Ok(None);
            }
            scope
                .delete::<session::Entity>()
                .filter(session::Column::UserId.eq(id.0))
                .filter(session::Column::ExpiresAt.lte(now))
                .exec(transaction)
                .await?;
            session::Entity::insert(session::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                token_hash: Set(token_hash.to_vec()),
                user_id: Set(id.0),
                created_at: Set(now),
                expires_at: Set(expires_at),
            })
            .exec_without_returning(transaction)
            .await?;
            scope
                .update::<user::Entity>()
                .col_expr(user::Column::LastLoginAt, Expr::value(now))
                .filter(user::Column::Id.eq(id.0))
                .exec(transaction)
                .await?;
            Ok(Some(User {
                last_login_at: Some(now),
                ..held
            }))
        })
        .await?;
    Ok(user.map(|user| Session { user, expires_at }))
}

/// Deletes the session with this token hash.
pub async fn close_session(scope: &Scope, token_hash: &[u8; 32]) -> Result<()> {
    scope
        .keep(async |transaction| {
            scope
                .delete::<session::Entity>()
                .filter(session::Column::TokenHash.eq(token_hash.to_vec()))
                .exec(&*transaction)
                .await?;
            Ok(())
        })
        .await
}
