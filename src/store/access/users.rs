//! Users of a tenant.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, DbErr, QueryFilter, QuerySelect,
};
use serde::Serialize;

use crate::{
    error::{Error, Reason, Result},
    id::UserId,
    store::{
        access::authority::{self, Administrators},
        core::{
            audit::subject,
            failure,
            listing::{self, Place, Resource, ResourceOrder, Sort, Stretch},
            page::Page,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        entities::{session, user},
    },
    username,
};

pub use super::user::{ADMIN, Person, Profile, User};

/// User to create.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Login name, unique in the installation, ignoring case.
    pub username: String,
    /// Person and permissions.
    pub profile: Profile,
    /// PHC string of the argon2id hash.
    pub password_hash: String,
}

/// Filter of users; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Role of the users.
    pub role: Option<&'static str>,
    /// True for locked users, false for others.
    pub locked: Option<bool>,
    /// Text that the login name, full name or e-mail address must contain, ignoring case.
    pub search: Option<String>,
}

/// Adds a user.
pub async fn insert(scope: &Scope, new: NewUser) -> Result<User> {
    scope
        .write(async |transaction| {
            authority::check_administrator(scope, &transaction).await?;
            add(scope, &transaction, new, false).await
        })
        .await
}

/// Adds a user within a larger transaction.
pub(in crate::store) async fn add(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    new: NewUser,
    is_operator: bool,
) -> Result<User> {
    let now = scope.now();
    let Profile {
        person,
        role,
        locked,
    } = new.profile;
    let model = user::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        created_at: Set(now),
        updated_at: Set(now),
        revision: Set(1),
        username_folded: Set(username::folded(&new.username)),
        username_skeleton: Set(Some(username::skeleton(&new.username))),
        username: Set(new.username),
        role: Set(role),
        locked: Set(locked),
        password_hash: Set(new.password_hash),
        last_login_at: Set(None),
        is_operator: Set(is_operator),
        ..personal(person)
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

/// Returns a user.
pub async fn get(scope: &Scope, id: UserId) -> Result<User> {
    let found = scope
        .find::<user::Entity>()
        .filter(user::Column::Id.eq(id.0))
        .one(scope.reader())
        .await?;
    found.map(User::from).ok_or_else(|| missing(id))
}

/// True if a user of the tenant has this name, or one that looks like it.
pub async fn is_named(scope: &Scope, username: &str) -> Result<bool> {
    let named = Condition::any()
        .add(user::Column::UsernameFolded.eq(username::folded(username)))
        .add(user::Column::UsernameSkeleton.eq(username::skeleton(username)));
    let found = scope.find::<user::Entity>().filter(named);
    Ok(found.one(scope.reader()).await?.is_some())
}

/// Returns a page of the users.
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

/// Replaces a user's profile, and the password if a new one is given. The sessions of a user who is locked or gets
/// another password end.
pub async fn update(
    scope: &Scope,
    id: UserId,
    profile: Profile,
    password_hash: Option<String>,
) -> Result<User> {
    scope
        .write(async |transaction| {
            let administrators = Administrators::hold(scope, &transaction).await?;
            let before = hold(scope, &transaction, id).await?;
            administrators.check_change(scope, &before)?;
            scope.check_revision(before.revision)?;
            if profile.role != ADMIN || profile.locked {
                administrators.check_loss(&before)?;
            }
            let ends_sessions = profile.locked || password_hash.is_some();
            let mut changed = user::ActiveModel {
                role: Set(profile.role),
                locked: Set(profile.locked),
                ..personal(profile.person)
            };
            if let Some(hash) = password_hash {
                changed.password_hash = Set(hash);
            }
            let after = write(scope, &transaction, &before, changed).await?;
            if ends_sessions {
                end_sessions(scope, &transaction, id, None).await?;
            }
            Ok(after)
        })
        .await
}

/// Replaces only the personal data that a user may change; an administrator may change the rest at the same time.
pub async fn update_person(scope: &Scope, id: UserId, person: Person) -> Result<User> {
    scope
        .write(async |transaction| {
            let before = hold_own(scope, &transaction, id).await?;
            scope.check_revision(before.revision)?;
            write(scope, &transaction, &before, personal(person)).await
        })
        .await
}

/// Changes a user's password if it still is the compared one, and ends all sessions except the one with this token
/// hash. Returns `None` if the password has changed in the meantime.
pub async fn set_password(
    scope: &Scope,
    compared: &User,
    password_hash: String,
    keep: &[u8; 32],
) -> Result<Option<User>> {
    let id = compared.id;
    scope
        .write(async |transaction| {
            let before = hold_own(scope, &transaction, id).await?;
            scope.check_revision(before.revision)?;
            if before.password_hash != compared.password_hash {
                return Ok(None);
            }
            let changed = user::ActiveModel {
                password_hash: Set(password_hash),
                ..Default::default()
            };
            let after = write(scope, &transaction, &before, changed).await?;
            end_sessions(scope, &transaction, id, Some(keep)).await?;
            Ok(Some(after))
        })
        .await
}

/// Sets a user's password, unlocks the user, restores an operator's role, and ends all sessions. Not available
/// through the API.
pub async fn recover(scope: &Scope, id: UserId, password_hash: String) -> Result<User> {
    scope
        .write(async |transaction| {
            let before = hold(scope, &transaction, id).await?;
            let mut changed = user::ActiveModel {
                password_hash: Set(password_hash),
                locked: Set(false),
                ..Default::default()
            };
            if before.is_operator {
                changed.role = Set(ADMIN.to_owned());
            }
            let after = write(scope, &transaction, &before, changed).await?;
            end_sessions(scope, &transaction, id, None).await?;
            Ok(after)
        })
        .await
}

/// Unlocks a user and changes nothing else. Returns `None` if the user is not locked. Not available through the API,
/// which replaces the whole profile.
pub async fn unlock(scope: &Scope, id: UserId) -> Result<Option<User>> {
    scope
        .write(async |transaction| {
            let before = hold(scope, &transaction, id).await?;
            if !before.profile.locked {
                return Ok(None);
            }
            let changed = user::ActiveModel {
                locked: Set(false),
                ..Default::default()
            };
            let after = write(scope, &transaction, &before, changed).await?;
            Ok(Some(after))
        })
        .await
}

/// Deletes a user and returns it.
pub async fn delete(scope: &Scope, id: UserId) -> Result<User> {
    scope
        .write(async |transaction| {
            let administrators = Administrators::hold(scope, &transaction).await?;
            let user = hold(scope, &transaction, id).await?;
            administrators.check_change(scope, &user)?;
            scope.check_revision(user.revision)?;
            administrators.check_loss(&user)?;
            if user.is_operator {
                return Err(Error::of_field(
                    Reason::WrongState,
                    "id",
                    "must not be an operator of the installation, who cannot be deleted",
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

/// Data of a user that the audit log contains.
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

/// Locks a user until the end of the transaction, without a check of the revision.
pub(in crate::store) async fn hold(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: UserId,
) -> Result<User> {
    let found = scope
        .find::<user::Entity>()
        .filter(user::Column::Id.eq(id.0))
        .lock_exclusive()
        .one(transaction)
        .await?;
    found.map(User::from).ok_or_else(|| missing(id))
}

/// Locks the calling user likewise; fails if it was locked out or deleted in the meantime.
async fn hold_own(scope: &Scope, transaction: &DatabaseTransaction, id: UserId) -> Result<User> {
    match hold(scope, transaction, id).await {
        Ok(user) if !user.profile.locked => Ok(user),
        Ok(_) | Err(Error::NotFound(_)) => Err(Error::Unauthenticated),
        Err(error) => Err(error),
    }
}

/// Writes changed columns of a locked user, and the entry in the audit log.
async fn write(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    before: &User,
    changed: user::ActiveModel,
) -> Result<User> {
    let changed = user::ActiveModel {
        updated_at: Set(scope.now()),
        revision: Set(before.revision + 1),
        ..changed
    };
    let updated = scope
        .update::<user::Entity>()
        .set(changed)
        .filter(user::Column::Id.eq(before.id.0))
        .exec_with_returning(transaction)
        .await?;
    let after = updated
        .into_iter()
        .next()
        .ok_or_else(|| missing(before.id))?;
    let after = User::from(after);
    scope
        .note_changed(
            transaction,
            subject("users", before.id),
            &Noted::from(before),
            &Noted::from(&after),
        )
        .await?;
    Ok(after)
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

fn personal(person: Person) -> user::ActiveModel {
    let Person {
        full_name,
        email,
        country,
    } = person;
    user::ActiveModel {
        full_name: Set(full_name),
        email: Set(email),
        country: Set(country),
        ..Default::default()
    }
}

fn missing(id: UserId) -> Error {
    Error::missing("user", id)
}

fn name_taken(error: DbErr) -> Error {
    match failure::duplicate(&error) {
        Some(_) => Error::of_field(
            Reason::AlreadyExists,
            "username",
            "another user already has this name or one that looks like it",
        ),
        None => error.into(),
    }
}
