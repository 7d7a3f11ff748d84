//! Users of a tenant.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, DbErr, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};
use serde::Serialize;

use super::{
    Page, Scope,
    audit::subject,
    entities::{session, user},
    failure,
    listing::{self, Place, Resource, ResourceOrder, Sort, Stretch},
    transaction::DatabaseTransaction,
};
use crate::{
    clock::{self, Time},
    error::{Error, Result},
    id::{TenantId, UserId},
};

/// The role that may do everything in its tenant.
pub const ADMIN: &str = "admin";

/// A user.
#[derive(Debug, Clone)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Whose user it is.
    pub tenant: TenantId,
    /// The login name as it was given.
    pub username: String,
    /// The person, and what the person may do.
    pub profile: Profile,
    /// Whether it manages the installation's tenants as well.
    pub is_operator: bool,
    /// PHC string of the argon2id hash.
    pub password_hash: String,
    /// Grows with every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// When it last logged in.
    pub last_login_at: Option<Time>,
}

/// What an administrator says of a user.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The person's name.
    pub full_name: String,
    /// The person's address.
    pub email: String,
    /// The person's country.
    pub country: String,
    /// `admin`, `editor` or `viewer`.
    pub role: String,
    /// Whether it is kept out.
    pub locked: bool,
}

/// A user to make.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Unique in the installation, whatever its case.
    pub username: String,
    /// The person, and what the person may do.
    pub profile: Profile,
    /// PHC string of the argon2id hash.
    pub password_hash: String,
}

/// Which users.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those with this role.
    pub role: Option<&'static str>,
    /// Those that are kept out, or those that are not.
    pub locked: Option<bool>,
    /// Those with this in login name, name or e-mail address, whatever its case.
    pub search: Option<String>,
}

/// Adds a user.
pub async fn insert(scope: &Scope, new: NewUser) -> Result<User> {
    scope
        .write(async |transaction| add(scope, &transaction, new, false).await)
        .await
}

/// Adds a user in a transaction that does more.
pub(super) async fn add(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    new: NewUser,
    is_operator: bool,
) -> Result<User> {
    let now = clock::now();
    let model = user::ActiveModel {
        created_at: Set(now),
        revision: Set(1),
        username_folded: Set(new.username.to_lowercase()),
        username: Set(new.username),
        password_hash: Set(new.password_hash),
        last_login_at: Set(None),
        is_operator: Set(is_operator),
        ..columns(scope, new.profile.clone(), now)
    }
    .insert(transaction)
    .await
    .map_err(name_taken)?;
    let user = User::from(model);
    scope
        .note_created(transaction, subject("users", user.id), &Noted::from(&user))
        .await?;
    Ok(user)
}

/// One user.
pub async fn get(scope: &Scope, id: UserId) -> Result<User> {
    let found = scope
        .find::<user::Entity>()
        .filter(user::Column::Id.eq(id.0))
        .one(scope.reader())
        .await?;
    found.map(User::from).ok_or_else(|| missing(id))
}

/// A stretch of the users.
pub async fn list(
    scope: &Scope,
    filter: &Filter,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<User, Place>> {
    let query = scope.find::<user::Entity>().filter(filter.condition());
    let page = listing::resources(scope, query, sort, stretch).await?;
    Ok(page.map(User::from))
}

impl Filter {
    fn condition(&self) -> Condition {
        use user::Column;
        let search = self.search.as_ref();
        Condition::all()
            .add_option(self.role.map(|role| Column::Role.eq(role)))
            .add_option(self.locked.map(|locked| Column::Locked.eq(locked)))
            .add_option(search.map(|text| listing::holding(text, user::Entity::SEARCHED)))
    }
}

impl Resource for user::Entity {
    const KEY: Self::Column = user::Column::Id;
    const NAME: Self::Column = user::Column::UsernameFolded;
    const UPDATED: Self::Column = user::Column::UpdatedAt;
    const SEARCHED: &'static [Self::Column] = &[
        user::Column::Username,
        user::Column::FullName,
        user::Column::Email,
    ];
}

/// Replaces what is said of a user, and the password where a new one is given. A user that is locked
/// or has another password has to log in again.
pub async fn update(
    scope: &Scope,
    id: UserId,
    profile: Profile,
    password_hash: Option<String>,
) -> Result<User> {
    scope
        .write(async |transaction| {
            let administrators = lock_administrators(scope, &transaction).await?;
            let before = User::from(lock(scope, &transaction, id).await?);
            if profile.role != ADMIN || profile.locked {
                keep_an_admin(&administrators, &before)?;
            }
            let mut changed = columns(scope, profile.clone(), clock::now());
            changed.revision = Set(before.revision + 1);
            let ends_sessions = profile.locked || password_hash.is_some();
            if let Some(hash) = password_hash {
                changed.password_hash = Set(hash);
            }
            let updated = scope
                .update::<user::Entity>()
                .set(changed)
                .filter(user::Column::Id.eq(id.0))
                .exec_with_returning(&*transaction)
                .await?;
            if ends_sessions {
                end_sessions(scope, &transaction, id, None).await?;
            }
            let after = updated.into_iter().next().ok_or_else(|| missing(id))?;
            let after = User::from(after);
            scope
                .note_changed(
                    &transaction,
                    subject("users", id),
                    &Noted::from(&before),
                    &Noted::from(&after),
                )
                .await?;
            Ok(after)
        })
        .await
}

/// Gives a user another password; all its sessions but the one with this token's hash end.
pub async fn set_password(
    scope: &Scope,
    id: UserId,
    password_hash: String,
    keep: &[u8; 32],
) -> Result<()> {
    scope
        .write(async |transaction| {
            let user = User::from(lock(scope, &transaction, id).await?);
            scope
                .update::<user::Entity>()
                .col_expr(user::Column::PasswordHash, Expr::value(password_hash))
                .col_expr(user::Column::UpdatedAt, Expr::value(clock::now()))
                .col_expr(user::Column::Revision, Expr::value(user.revision + 1))
                .filter(user::Column::Id.eq(id.0))
                .exec(&*transaction)
                .await?;
            end_sessions(scope, &transaction, id, Some(keep)).await?;
            let noted = Noted::from(&user);
            scope
                .note_changed(&transaction, subject("users", id), &noted, &noted)
                .await
        })
        .await
}

/// Removes a user; answers what was removed.
pub async fn delete(scope: &Scope, id: UserId) -> Result<User> {
    scope
        .write(async |transaction| {
            let administrators = lock_administrators(scope, &transaction).await?;
            let user = User::from(lock(scope, &transaction, id).await?);
            keep_an_admin(&administrators, &user)?;
            if user.is_operator {
                return Err(Error::Conflict(
                    "id: this user manages the installation; it stays".to_owned(),
                ));
            }
            scope
                .delete::<user::Entity>()
                .filter(user::Column::Id.eq(id.0))
                .exec(&*transaction)
                .await?;
            scope
                .note_deleted(&transaction, subject("users", id), &Noted::from(&user))
                .await?;
            Ok(user)
        })
        .await
}

/// What of a user is told in the audit log.
#[derive(Serialize)]
struct Noted<'a> {
    username: &'a str,
    #[serde(flatten)]
    profile: &'a Profile,
}

impl<'a> From<&'a User> for Noted<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            username: &user.username,
            profile: &user.profile,
        }
    }
}

async fn lock(scope: &Scope, transaction: &DatabaseTransaction, id: UserId) -> Result<user::Model> {
    scope
        .lock::<user::Entity>(transaction, user::Column::Id.eq(id.0), || missing(id))
        .await
}

/// The administrators that can log in. They are locked, before any other user and in the order of
/// their ids: of two who take each other's role away at once, one waits for the other.
async fn lock_administrators(
    scope: &Scope,
    transaction: &DatabaseTransaction,
) -> Result<Vec<UserId>> {
    let administrators = scope
        .find::<user::Entity>()
        .filter(user::Column::Role.eq(ADMIN))
        .filter(user::Column::Locked.eq(false))
        .order_by_asc(user::Column::Id)
        .lock_exclusive()
        .all(transaction)
        .await?;
    Ok(administrators
        .into_iter()
        .map(|model| UserId(model.id))
        .collect())
}

/// Refuses to lose the last administrator that can log in.
fn keep_an_admin(administrators: &[UserId], user: &User) -> Result<()> {
    let is_one = administrators.contains(&user.id);
    if is_one && administrators.len() == 1 {
        return Err(Error::Conflict(format!(
            "\"{}\" is the last administrator of the tenant: make another user one first",
            user.username
        )));
    }
    Ok(())
}

async fn end_sessions(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    user: UserId,
    but: Option<&[u8; 32]>,
) -> Result<()> {
    let mut sessions = scope
        .delete::<session::Entity>()
        .filter(session::Column::UserId.eq(user.0));
    if let Some(hash) = but {
        sessions = sessions.filter(session::Column::TokenHash.ne(hash.to_vec()));
    }
    sessions.exec(transaction).await?;
    Ok(())
}

fn columns(scope: &Scope, profile: Profile, now: Time) -> user::ActiveModel {
    let Profile {
        full_name,
        email,
        country,
        role,
        locked,
    } = profile;
    user::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        updated_at: Set(now),
        full_name: Set(full_name),
        email: Set(email),
        country: Set(country),
        role: Set(role),
        locked: Set(locked),
        ..Default::default()
    }
}

fn missing(id: UserId) -> Error {
    Error::missing("user", id)
}

fn name_taken(error: DbErr) -> Error {
    match failure::duplicate(&error) {
        Some(_) => Error::Conflict("username: another user has this name already".to_owned()),
        None => error.into(),
    }
}

impl From<user::Model> for User {
    fn from(model: user::Model) -> Self {
        let user::Model {
            tenant_id,
            id,
            created_at,
            updated_at,
            revision,
            username,
            username_folded: _,
            full_name,
            email,
            country,
            role,
            password_hash,
            last_login_at,
            locked,
            is_operator,
        } = model;
        Self {
            id: UserId(id),
            tenant: TenantId(tenant_id),
            username,
            profile: Profile {
                full_name,
                email,
                country,
                role,
                locked,
            },
            is_operator,
            password_hash,
            revision,
            created_at,
            updated_at,
            last_login_at,
        }
    }
}
