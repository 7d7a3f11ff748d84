//! Network connections and their health.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};

use crate::{
    error::{Error, Reason, Result},
    id::ConnectionId,
    store::{
        core::{
            audit::subject,
            health::HealthState,
            listing::{self, Place, Resource, ResourceOrder, Sort, Stretch},
            page::Page,
            scope::Scope,
            signals::Then,
            transaction::DatabaseTransaction,
        },
        drivers::usage,
        entities::{connection_health, device_connection, network_connection},
        networks::rows::{RESOURCE, bury, change, lock, missing, name_taken, with_health},
    },
};

pub mod downlink_settings;
pub(in crate::store) mod health;
pub(super) mod health_change;
pub(super) mod recent;
pub(in crate::store) mod record;
pub(in crate::store) mod rows;
pub(in crate::store) mod seen;
pub mod subscriptions;
pub mod unknown_devices;

pub use health::Health;
pub use record::{Connection, NewConnection};

/// Filter of network connections; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Type of network server.
    pub kind: Option<&'static str>,
    /// True for enabled connections, false for disabled ones.
    pub enabled: Option<bool>,
    /// Health state of the connections.
    pub health: Option<HealthState>,
    /// Text that the name must contain, ignoring case.
    pub search: Option<String>,
}

/// Adds a connection. `seal` returns its credentials, sealed for the new row.
pub async fn insert(
    scope: &Scope,
    new: NewConnection,
    ingest_key_hash: &[u8; 32],
    seal: impl Fn(ConnectionId) -> Result<Option<Vec<u8>>>,
) -> Result<Connection> {
    let now = scope.now();
    scope
        .write(async |transaction| {
            transaction.then(Then::Connections);
            hold_driver(scope, &transaction, &new).await?;
            let mut model = network_connection::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                created_at: Set(now),
                updated_at: Set(now),
                name: Set(new.name.clone()),
                kind: Set(new.kind.clone()),
                settings: Set(new.settings.clone()),
                enabled: Set(new.enabled),
                ingest_key_hash: Set(ingest_key_hash.to_vec()),
                auto_provisioning: Set(new.auto_provisioning.clone()),
                ..Default::default()
            }
            .insert(&*transaction)
            .await
            .map_err(name_taken)?;
            if let Some(secret) = seal(ConnectionId(model.id))? {
                scope
                    .update::<network_connection::Entity>()
                    .col_expr(
                        network_connection::Column::Secret,
                        Expr::value(secret.clone()),
                    )
                    .filter(network_connection::Column::Id.eq(model.id))
                    .exec(&*transaction)
                    .await?;
                model.secret = Some(secret);
            }
            let health = connection_health::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                connection_id: Set(model.id),
                uplinks: Set(0),
                unknown_devices: Set(0),
                other_messages: Set(0),
                malformed: Set(0),
                duplicates: Set(0),
                last_message_at: Set(None),
                last_error_at: Set(None),
                last_error: Set(None),
                connected: Set(None),
                connected_since: Set(None),
                connection_error: Set(None),
                recent_hour: Set(0),
                recent_taken: Set(0),
                recent_refused: Set(0),
                before_taken: Set(0),
                before_refused: Set(0),
                odd_times: Set(0),
                last_odd_time: Set(None),
                last_odd_time_at: Set(None),
                unauthorized: Set(0),
                unauthorized_at: Set(None),
            };
            connection_health::Entity::insert(health)
                .exec_without_returning(&*transaction)
                .await?;
            scope
                .note_created(&transaction, subject(RESOURCE, model.id), &new)
                .await?;
            Ok(Connection::from((model, None)))
        })
        .await
}

/// Returns a connection.
pub async fn get(scope: &Scope, id: ConnectionId) -> Result<Connection> {
    find(scope, id).await?.ok_or_else(|| missing(id))
}

/// Returns a connection, if it exists.
pub async fn find(scope: &Scope, id: ConnectionId) -> Result<Option<Connection>> {
    let found = scope
        .find::<network_connection::Entity>()
        .filter(network_connection::Column::Id.eq(id.0))
        .find_also_related(connection_health::Entity)
        .one(scope.reader())
        .await?;
    Ok(found.map(Connection::from))
}

/// Returns a page of the connections.
pub async fn list(
    scope: &Scope,
    filter: &Filter,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<Connection, Place>> {
    let query = scope
        .find::<network_connection::Entity>()
        .find_also_related(connection_health::Entity)
        .filter(filter.condition());
    let page = listing::resources_with(scope, query, sort, stretch).await?;
    Ok(page.map(Connection::from))
}

impl Filter {
    fn condition(&self) -> Condition {
        use network_connection::Column;
        Condition::all()
            .add_option(self.kind.map(|kind| Column::Kind.eq(kind)))
            .add_option(self.enabled.map(|enabled| Column::Enabled.eq(enabled)))
            .add_option(self.health.map(health::condition))
            .add_option(
                self.search
                    .as_ref()
                    .map(|text| listing::holding(text, network_connection::Entity::SEARCHED)),
            )
    }
}

impl Resource for network_connection::Entity {
    const KEY: Self::Column = network_connection::Column::Id;
    const NAME: Self::Column = network_connection::Column::Name;
    const UPDATED: Self::Column = network_connection::Column::UpdatedAt;
    const SEARCHED: &'static [Self::Column] = &[network_connection::Column::Name];
}

/// Returns the ids and types of those of these connections that the tenant has.
pub async fn existing(scope: &Scope, ids: &[i64]) -> Result<Vec<(i64, String)>> {
    Ok(scope
        .find::<network_connection::Entity>()
        .filter(network_connection::Column::Id.is_in(ids.iter().copied()))
        .select_only()
        .column(network_connection::Column::Id)
        .column(network_connection::Column::Kind)
        .into_tuple()
        .all(scope.reader())
        .await?)
}

/// Returns the names of these connections.
pub async fn names(scope: &Scope, ids: &[i64]) -> Result<HashMap<i64, String>> {
    let found: Vec<(i64, String)> = scope
        .find::<network_connection::Entity>()
        .filter(network_connection::Column::Id.is_in(ids.iter().copied()))
        .select_only()
        .column(network_connection::Column::Id)
        .column(network_connection::Column::Name)
        .into_tuple()
        .all(scope.reader())
        .await?;
    Ok(found.into_iter().collect())
}

/// Replaces a connection's configuration; `seal` derives the sealed credentials from the previous one.
pub async fn update(
    scope: &Scope,
    id: ConnectionId,
    new: NewConnection,
    seal: impl Fn(&NewConnection) -> Result<Option<Vec<u8>>>,
) -> Result<Connection> {
    scope
        .write(async |transaction| {
            transaction.then(Then::Connections);
            // The change may enable the connection, whose downlinks can then be sent.
            transaction.then(Then::Downlinks);
            hold_driver(scope, &transaction, &new).await?;
            let before = lock(scope, &transaction, LockType::NoKeyUpdate, id).await?;
            let revision = before.revision;
            let before = Connection::from((before, None)).provisioned;
            let changed = network_connection::ActiveModel {
                secret: Set(seal(&before)?),
                auto_provisioning: Set(new.auto_provisioning.clone()),
                name: Set(new.name.clone()),
                kind: Set(new.kind.clone()),
                settings: Set(new.settings.clone()),
                enabled: Set(new.enabled),
                ..Default::default()
            };
            let after = change(scope, &transaction, (id, revision), changed).await?;
            scope
                .note_changed(&transaction, subject(RESOURCE, id), &before, &new)
                .await?;
            Ok(after)
        })
        .await
}

/// Replaces the ingest key; the old key becomes invalid at once.
pub async fn set_ingest_key(
    scope: &Scope,
    id: ConnectionId,
    hash: &[u8; 32],
) -> Result<Connection> {
    scope
        .write(async |transaction| {
            let before = lock(scope, &transaction, LockType::NoKeyUpdate, id).await?;
            let changed = network_connection::ActiveModel {
                ingest_key_hash: Set(hash.to_vec()),
                ..Default::default()
            };
            let after = change(scope, &transaction, (id, before.revision), changed).await?;
            let noted = &after.provisioned;
            scope
                .note_changed(&transaction, subject(RESOURCE, id), noted, noted)
                .await?;
            Ok(after)
        })
        .await
}

/// Removes a connection that no device uses and returns it; dependent data is deleted later.
pub async fn delete(scope: &Scope, id: ConnectionId) -> Result<Connection> {
    scope
        .write(async |transaction| {
            transaction.then(Then::Connections);
            // The lock prevents new references between the count and the deletion.
            let model = lock(scope, &transaction, LockType::Update, id).await?;
            let users = scope
                .find::<device_connection::Entity>()
                .filter(device_connection::Column::ConnectionId.eq(id.0))
                .count(&*transaction)
                .await?;
            if users > 0 {
                return Err(Error::rejected(Reason::InUse, format!(
                    "network connection {id} is in use by {users} device(s): remove it from their connectivity first"
                )));
            }
            let connection = with_health(scope, &transaction, model).await?;
            bury(&transaction, id.0).await?;
            scope
                .note_deleted(&transaction, subject(RESOURCE, id), &connection.provisioned)
                .await?;
            Ok(connection)
        })
        .await
}

/// Locks the driver for automatically provisioned devices until the end of the transaction.
async fn hold_driver(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    new: &NewConnection,
) -> Result<()> {
    let rule = new.auto_provisioning.as_ref();
    let driver = rule.and_then(|rule| rule.get("driver")?.as_str());
    let held = usage::hold_one(scope, transaction, driver).await;
    held.map_err(|error| error.within("auto_provisioning"))
}
