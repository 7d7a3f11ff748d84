//! Downlink settings of network connections.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, QueryFilter};
use serde_json::Value;

use crate::{
    clock::Time,
    error::{Error, Result},
    id::ConnectionId,
    store::{
        core::{audit::subject, scope::Scope, signals::Then, transaction::DatabaseTransaction},
        downlinks::queue,
        entities::downlink_setting,
        networks::{record::NewConnection, rows},
    },
};

/// Name of the resource in paths.
const RESOURCE: &str = "downlink-settings";

pub use super::seen::Seen;

/// Downlink settings of a connection.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Settings without credentials.
    pub settings: Value,
    /// Sealed credentials.
    pub secret: Option<Vec<u8>>,
    /// Revision, which grows with every change by a client.
    pub revision: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last change.
    pub updated_at: Time,
}

/// Returns the settings of a connection, if it has any.
pub async fn find(scope: &Scope, connection: ConnectionId) -> Result<Option<Settings>> {
    let found = scope
        .find::<downlink_setting::Entity>()
        .filter(downlink_setting::Column::ConnectionId.eq(connection.0))
        .one(scope.reader())
        .await?;
    Ok(found.map(Settings::from))
}

/// Returns the settings of a connection.
pub async fn get(scope: &Scope, connection: ConnectionId) -> Result<Settings> {
    find(scope, connection)
        .await?
        .ok_or_else(|| missing(connection))
}

/// New settings for a connection.
pub struct NewSettings {
    /// Settings without credentials.
    pub settings: Value,
    /// Sealed credentials.
    pub secret: Option<Vec<u8>>,
    /// True if the hub sends waiting downlinks by itself; false if they wait for the response to the device's next
    /// uplink.
    pub is_pushed: bool,
}

/// Creates or replaces the settings of a connection. `make` derives them from the connection and its previous
/// settings. The connection is locked, so that concurrent calls run one after the other.
pub async fn put(
    scope: &Scope,
    connection: ConnectionId,
    make: impl FnOnce(&NewConnection, Option<&Settings>) -> Result<NewSettings>,
) -> Result<Settings> {
    let now = scope.now();
    scope
        .write(async |transaction| {
            let network = rows::hold(scope, &transaction, connection).await?;
            let before = held(scope, &transaction, connection).await?;
            let revision = before.as_ref().map_or(0, |before| before.revision);
            scope.check_revision(revision)?;
            let next = match &before {
                Some(before) => before.revision + 1,
                None => scope.first_revision(&transaction).await?,
            };
            let new = make(&network, before.as_ref())?;
            let subject = subject(RESOURCE, connection);
            let changed = downlink_setting::ActiveModel {
                settings: Set(new.settings.clone()),
                secret: Set(new.secret),
                revision: Set(next),
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

/// Deletes a connection's settings and returns them.
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
            // The settings implied by the connection itself are always sent by the hub.
            queue::redirect(scope, &transaction, connection, true).await?;
            scope
                .note_last_revision(&transaction, before.revision)
                .await?;
            Ok(before)
        })
        .await
}

/// Returns the settings of a locked connection.
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
        "network connection {connection} has no downlink settings"
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
