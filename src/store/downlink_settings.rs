//! How the downlinks of a network connection reach its network server.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, QueryFilter, QuerySelect};
use serde_json::Value;

use super::{Scope, audit::subject, downlink_queue, entities::downlink_setting, failure};
use crate::{
    clock::{self, Time},
    error::{Error, Result},
    id::ConnectionId,
    secret::Stored,
};

/// The resource's name in paths.
const RESOURCE: &str = "downlink-settings";

/// The settings of one connection.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is no secret.
    pub settings: Value,
    /// Sealed credentials.
    pub secret: Option<Vec<u8>>,
    /// Grows with every change by a client.
    pub revision: i64,
    /// When they were made.
    pub created_at: Time,
    /// When they were last changed.
    pub updated_at: Time,
}

/// The settings of a connection, where it has some.
pub async fn find(scope: &Scope, connection: ConnectionId) -> Result<Option<Settings>> {
    let found = scope
        .find::<downlink_setting::Entity>()
        .filter(downlink_setting::Column::ConnectionId.eq(connection.0))
        .one(scope.reader())
        .await?;
    Ok(found.map(Settings::from))
}

/// The settings of a connection.
pub async fn get(scope: &Scope, connection: ConnectionId) -> Result<Settings> {
    find(scope, connection)
        .await?
        .ok_or_else(|| missing(connection))
}

/// Gives a connection settings, in the place of those that it has. What waits goes out by itself, or
/// waits to be asked for. `seal` makes the credentials from what was there.
pub async fn put(
    scope: &Scope,
    connection: ConnectionId,
    settings: Value,
    is_pushed: bool,
    seal: impl Fn(Option<Stored<'_>>) -> Result<Option<Vec<u8>>>,
) -> Result<Settings> {
    let now = clock::now();
    scope
        .write(async |transaction| {
            let which = downlink_setting::Column::ConnectionId.eq(connection.0);
            let before = scope
                .find::<downlink_setting::Entity>()
                .filter(which)
                .lock_exclusive()
                .one(&*transaction)
                .await?;
            scope.check_revision(before.as_ref().map_or(0, |before| before.revision))?;
            let secret = seal(before.as_ref().map(|before| Stored {
                settings: &before.settings,
                secret: before.secret.as_deref(),
            }))?;
            let after = downlink_setting::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                connection_id: Set(connection.0),
                settings: Set(settings.clone()),
                secret: Set(secret),
                revision: Set(before.as_ref().map_or(1, |before| before.revision + 1)),
                created_at: Set(before.as_ref().map_or(now, |before| before.created_at)),
                updated_at: Set(now),
            };
            let subject = subject(RESOURCE, connection);
            let model = match &before {
                None => {
                    scope.note_created(&transaction, subject, &settings).await?;
                    let inserted = after.insert(&*transaction).await;
                    inserted.map_err(|error| match failure::is_dangling(&error) {
                        true => Error::missing("network connection", connection),
                        false => error.into(),
                    })?
                }
                Some(before) => {
                    scope
                        .note_changed(&transaction, subject, &before.settings, &settings)
                        .await?;
                    after.update(&*transaction).await?
                }
            };
            downlink_queue::redirect(scope, &transaction, connection, is_pushed).await?;
            Ok(model.into())
        })
        .await
}

/// Takes a connection's settings away; answers them.
pub async fn delete(scope: &Scope, connection: ConnectionId) -> Result<Settings> {
    scope
        .write(async |transaction| {
            let which = downlink_setting::Column::ConnectionId.eq(connection.0);
            let before = scope
                .find::<downlink_setting::Entity>()
                .filter(which.clone())
                .one(&*transaction)
                .await?
                .ok_or_else(|| missing(connection))?;
            scope.check_revision(before.revision)?;
            scope
                .delete::<downlink_setting::Entity>()
                .filter(which)
                .exec(&*transaction)
                .await?;
            let subject = subject(RESOURCE, connection);
            scope
                .note_deleted(&transaction, subject, &before.settings)
                .await?;
            Ok(before.into())
        })
        .await
}

fn missing(connection: ConnectionId) -> Error {
    Error::NotFound(format!(
        "network connection {connection} has no settings for downlinks"
    ))
}

impl From<downlink_setting::Model> for Settings {
    fn from(model: downlink_setting::Model) -> Self {
        Self {
            settings: model.settings,
            secret: model.secret,
            revision: model.revision,
            created_at: model.created_at,
            updated_at: model.updated_at,
        }
    }
}
