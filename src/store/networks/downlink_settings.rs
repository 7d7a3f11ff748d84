//! How the downlinks of a network connection reach its network server.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, QueryFilter};
use serde_json::Value;

use crate::{
    clock::{self, Time},
    error::{Error, Result},
    id::ConnectionId,
    store::{
        core::{audit::subject, scope::Scope, signals::Then, transaction::DatabaseTransaction},
        downlinks::queue,
        entities::downlink_setting,
        networks::{record::NewConnection, rows},
    },
};

/// The resource's name in paths.
const RESOURCE: &str = "downlink-settings";

pub use super::seen::Seen;

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

/// What takes the place of a connection's settings.
pub struct NewSettings {
    /// What is no secret.
    pub settings: Value,
    /// Sealed credentials.
    pub secret: Option<Vec<u8>>,
    /// Whether what waits goes out by itself, or waits to be asked for.
    pub is_pushed: bool,
}

/// Gives a connection settings, in the place of those that it has. `make` makes them from the connection
/// and from what was there. The connection is held: of two who set them at once, one waits for the other.
pub async fn put(
    scope: &Scope,
    connection: ConnectionId,
    make: impl FnOnce(&NewConnection, Option<&Settings>) -> Result<NewSettings>,
) -> Result<Settings> {
    let now = clock::now();
    scope
        .write(async |transaction| {
            let network = rows::hold(scope, &transaction, connection).await?;
            let before = held(scope, &transaction, connection).await?;
            let revision = before.as_ref().map_or(0, |before| before.revision);
            scope.check_revision(revision)?;
            let new = make(&network, before.as_ref())?;
            let subject = subject(RESOURCE, connection);
            let changed = downlink_setting::ActiveModel {
                settings: Set(new.settings.clone()),
                secret: Set(new.secret),
                revision: Set(revision + 1),
                updated_at: Set(now),
                ..Default::default()
            };
            let model = match &before {
                None => {
                    scope
                        .note_created(&transaction, subject, &new.settings)
                        .await?;
                    let made = downlink_setting::ActiveModel {
                        tenant_id: Set(scope.tenant.0),
                        connection_id: Set(connection.0),
                        created_at: Set(now),
                        ..changed
                    };
                    made.insert(&*transaction).await?
                }
                Some(before) => {
                    scope
                        .note_changed(&transaction, subject, &before.settings, &new.settings)
                        .await?;
                    let updated = scope
                        .update::<downlink_setting::Entity>()
                        .set(changed)
                        .filter(downlink_setting::Column::ConnectionId.eq(connection.0))
                        .exec_with_returning(&*transaction)
                        .await?;
                    let updated = updated.into_iter().next();
                    updated.ok_or_else(|| missing(connection))?
                }
            };
            queue::redirect(scope, &transaction, connection, new.is_pushed).await?;
            transaction.then(Then::Downlinks);
            Ok(model.into())
        })
        .await
}

/// Takes a connection's settings away; answers them.
pub async fn delete(scope: &Scope, connection: ConnectionId) -> Result<Settings> {
    scope
        .write(async |transaction| {
            rows::hold(scope, &transaction, connection).await?;
            let before = held(scope, &transaction, connection).await?;
            let before = before.ok_or_else(|| missing(connection))?;
            scope.check_revision(before.revision)?;
            scope
                .delete::<downlink_setting::Entity>()
                .filter(downlink_setting::Column::ConnectionId.eq(connection.0))
                .exec(&*transaction)
                .await?;
            let subject = subject(RESOURCE, connection);
            scope
                .note_deleted(&transaction, subject, &before.settings)
                .await?;
            // Whatever the connection's own settings imply sends by itself.
            queue::redirect(scope, &transaction, connection, true).await?;
            Ok(before)
        })
        .await
}

/// The settings of a connection that is held.
async fn held(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    connection: ConnectionId,
) -> Result<Option<Settings>> {
    let found = scope
        .find::<downlink_setting::Entity>()
        .filter(downlink_setting::Column::ConnectionId.eq(connection.0))
        .one(transaction)
        .await?;
    Ok(found.map(Settings::from))
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
