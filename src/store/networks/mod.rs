//! Network connections and their health.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, Condition, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    Page, Scope,
    entities::{connection_health, device_connection, downlink_setting, network_connection},
};
use crate::store::removals;
use crate::{
    clock::{self, Time},
    error::{Error, Result},
    id::ConnectionId,
    secret::Stored,
    store::{
        core::{
            audit::subject,
            failure,
            gather::padded,
            health::HealthState,
            listing::{self, Place, Resource, ResourceOrder, Sort, Stretch},
            signals::Then,
            transaction::DatabaseTransaction,
        },
        drivers::usage,
        networks::{recent::Recent, subscriptions::Subscription},
    },
};

pub mod downlink_settings;
pub(super) mod health_change;
pub(super) mod recent;
pub mod subscriptions;
pub mod unknown_devices;

/// The resource's name in paths.
const RESOURCE: &str = "network-connections";

/// What a client provisions.
#[derive(Debug, Clone, Serialize)]
pub struct NewConnection {
    /// Unique in the tenant.
    pub name: String,
    /// Which network server it is.
    pub kind: String,
    /// What its adapter needs to know.
    pub settings: Value,
    /// Whether it takes messages.
    pub enabled: bool,
    /// Which unknown senders become devices, where any do.
    pub auto_provisioning: Option<Value>,
    /// Sealed credentials.
    #[serde(skip)]
    pub secret: Option<Vec<u8>>,
}

impl NewConnection {
    /// What its row stores of secrets, and of where they are sent.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            settings: &self.settings,
            secret: self.secret.as_deref(),
        }
    }
}

/// A network connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// What was provisioned.
    pub provisioned: NewConnection,
    /// SHA-256 of the key that opens its ingest.
    pub ingest_key_hash: Vec<u8>,
    /// What came in.
    pub health: Health,
    /// Grows with every change by a client.
    pub revision: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// What came in over a connection, counted since it was made where nothing else is said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Uplinks of known devices.
    pub uplinks: i64,
    /// Uplinks of devices that nobody provisioned.
    pub unknown_devices: i64,
    /// Well-formed messages that are no uplinks: joins, acknowledgements ...
    pub other_messages: i64,
    /// Messages that were refused.
    pub malformed: i64,
    /// Copies of frames that were recorded before.
    pub duplicates: i64,
    /// Messages whose time could not be read, or could not be true.
    pub odd_times: i64,
    /// What was wrong with the last of these times.
    pub last_odd_time: Option<String>,
    /// When that message came.
    pub last_odd_time_at: Option<Time>,
    /// Requests with a wrong ingest key.
    pub unauthorized: i64,
    /// When the last of them came.
    pub unauthorized_at: Option<Time>,
    /// When the last message came that was taken.
    pub last_message_at: Option<Time>,
    /// When the last one was refused.
    pub last_error_at: Option<Time>,
    /// Why it was refused.
    pub last_error: Option<String>,
    /// How many were refused lately.
    pub recent: Recent,
    /// Whether its broker is heard; `None` where the network server calls.
    pub subscription: Option<Subscription>,
}

/// Which connections.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those of this kind of network server.
    pub kind: Option<&'static str>,
    /// Those that take messages, or those that do not.
    pub enabled: Option<bool>,
    /// Those that are so.
    pub health: Option<HealthState>,
    /// Those with this in the name, whatever its case.
    pub search: Option<String>,
}

/// Adds a connection; `seal` makes its credentials, which are bound to the row that it becomes.
pub async fn insert(
    scope: &Scope,
    new: NewConnection,
    ingest_key_hash: &[u8; 32],
    seal: impl Fn(ConnectionId) -> Result<Option<Vec<u8>>>,
) -> Result<Connection> {
    let now = clock::now();
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

/// One connection.
pub async fn get(scope: &Scope, id: ConnectionId) -> Result<Connection> {
    find(scope, id).await?.ok_or_else(|| missing(id))
}

/// One connection, where there is one.
pub async fn find(scope: &Scope, id: ConnectionId) -> Result<Option<Connection>> {
    let found = scope
        .find::<network_connection::Entity>()
        .filter(network_connection::Column::Id.eq(id.0))
        .find_also_related(connection_health::Entity)
        .one(scope.reader())
        .await?;
    Ok(found.map(Connection::from))
}

/// A stretch of the connections.
pub async fn list(
    scope: &Scope,
    filter: &Filter,
    sort: Sort<ResourceOrder>,
    stretch: &Stretch,
) -> Result<Page<Connection, Place>> {
    type Entity = network_connection::Entity;
    let query = scope
        .find::<Entity>()
        .find_also_related(connection_health::Entity)
        .filter(filter.condition());
    let total = listing::total(scope, &query, stretch).await?;
    let query = sort.order::<Entity>().of(query, stretch)?;
    let found = query.all(scope.reader()).await?;
    let place = |(model, _): &(network_connection::Model, _)| sort.place::<Entity>(model);
    let page = Page::cut(found, stretch.limit, place).of(total);
    Ok(page.map(Connection::from))
}

impl Filter {
    fn condition(&self) -> Condition {
        use network_connection::Column;
        Condition::all()
            .add_option(self.kind.map(|kind| Column::Kind.eq(kind)))
            .add_option(self.enabled.map(|enabled| Column::Enabled.eq(enabled)))
            .add_option(self.health.map(HealthState::of_connections))
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

/// Which of these ids are the tenant's connections.
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

/// What these connections are called.
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

/// Replaces what was provisioned; `seal` makes the sealed credentials from what was there before.
pub async fn update(
    scope: &Scope,
    id: ConnectionId,
    new: NewConnection,
    seal: impl Fn(&NewConnection) -> Result<Option<Vec<u8>>>,
) -> Result<Connection> {
    scope
        .write(async |transaction| {
            transaction.then(Then::Connections);
            // It may be switched on.
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

/// Gives it another ingest key; the old one is dead.
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

/// Removes a connection that no device uses; what belongs to it is cleared away later. Answers what was
/// removed.
pub async fn delete(scope: &Scope, id: ConnectionId) -> Result<Connection> {
    scope
        .write(async |transaction| {
            transaction.then(Then::Connections);
            // Nobody may refer to it between the count and the deletion.
            let model = lock(scope, &transaction, LockType::Update, id).await?;
            let users = scope
                .find::<device_connection::Entity>()
                .filter(device_connection::Column::ConnectionId.eq(id.0))
                .count(&*transaction)
                .await?;
            if users > 0 {
                return Err(Error::Conflict(format!(
                    "network connection {id} is in use by {users} device(s): take it out of their connectivity first"
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

/// Takes a connection whose row is held out of sight.
pub(super) async fn bury(transaction: &DatabaseTransaction, id: i64) -> Result<(), DbErr> {
    use network_connection::Column;
    removals::bury::<network_connection::Entity>(Column::Name)
        .col_expr(Column::Enabled, Expr::value(false))
        .col_expr(Column::Secret, Expr::value(None::<Vec<u8>>))
        .filter(Column::Id.eq(id))
        .exec(transaction)
        .await?;
    connection_health::Entity::delete_by_id(id)
        .exec(transaction)
        .await?;
    downlink_setting::Entity::delete_by_id(id)
        .exec(transaction)
        .await?;
    Ok(())
}

/// Refuses addresses, which have just been written, in a connection that was deleted before them. It is
/// asked afterwards: until then, somebody may be deleting it.
pub(super) async fn check_live(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    addresses: impl Iterator<Item = i64>,
) -> Result<()> {
    let ids: BTreeSet<i64> = addresses.collect();
    if ids.is_empty() {
        return Ok(());
    }
    let live = scope
        .find::<network_connection::Entity>()
        .filter(network_connection::Column::Id.is_in(padded(ids.iter().copied().collect())))
        .count(transaction)
        .await?;
    match live == ids.len() as u64 {
        true => Ok(()),
        false => Err(just_deleted()),
    }
}

/// What refers to it was checked before.
pub(super) fn just_deleted() -> Error {
    Error::field(
        "connectivity.connections",
        "a network connection has just been deleted",
    )
}

/// Writes the columns of a change of a row that is locked at this revision; answers the connection as it
/// is then.
async fn change(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    (id, revision): (ConnectionId, i64),
    changed: network_connection::ActiveModel,
) -> Result<Connection> {
    let changed = network_connection::ActiveModel {
        updated_at: Set(clock::now()),
        revision: Set(revision + 1),
        ..changed
    };
    let updated = scope
        .update::<network_connection::Entity>()
        .set(changed)
        .filter(network_connection::Column::Id.eq(id.0))
        .exec_with_returning(transaction)
        .await
        .map_err(name_taken)?;
    let model = updated.into_iter().next().ok_or_else(|| missing(id))?;
    with_health(scope, transaction, model).await
}

async fn with_health(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    model: network_connection::Model,
) -> Result<Connection> {
    let health = scope
        .find::<connection_health::Entity>()
        .filter(connection_health::Column::ConnectionId.eq(model.id))
        .one(transaction)
        .await?;
    Ok(Connection::from((model, health)))
}

/// Keeps the driver of the devices that the connection makes until the end of the transaction.
async fn hold_driver(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    new: &NewConnection,
) -> Result<()> {
    let rule = new.auto_provisioning.as_ref();
    let driver = rule.and_then(|rule| rule.get("driver")?.as_str());
    let held = usage::hold_one(scope, transaction, driver).await;
    held.map_err(|error| match error {
        Error::Invalid(rule) => Error::Invalid(format!("auto_provisioning.{rule}")),
        error => error,
    })
}

/// The connection's kind and settings, as they are until the end of the transaction. Whatever refers to
/// the connection may go on meanwhile.
pub(super) async fn hold(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    id: ConnectionId,
) -> Result<NewConnection> {
    let found = scope
        .find::<network_connection::Entity>()
        .filter(network_connection::Column::Id.eq(id.0))
        .lock(LockType::NoKeyUpdate)
        .one(transaction)
        .await?
        .ok_or_else(|| missing(id))?;
    Ok(Connection::from((found, None)).provisioned)
}

async fn lock(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    lock: LockType,
    id: ConnectionId,
) -> Result<network_connection::Model> {
    let which = network_connection::Column::Id.eq(id.0);
    scope
        .lock_as::<network_connection::Entity>(transaction, lock, which, || missing(id))
        .await
}

fn missing(id: ConnectionId) -> Error {
    Error::missing("network connection", id)
}

fn name_taken(error: DbErr) -> Error {
    failure::name_taken(error, "network connection")
}

impl From<(network_connection::Model, Option<connection_health::Model>)> for Connection {
    fn from(
        (model, health): (network_connection::Model, Option<connection_health::Model>),
    ) -> Self {
        let network_connection::Model {
            tenant_id: _,
            id,
            created_at,
            updated_at,
            revision,
            name,
            kind,
            settings,
            enabled,
            ingest_key_hash,
            secret,
            auto_provisioning,
        } = model;
        Self {
            id: ConnectionId(id),
            provisioned: NewConnection {
                name,
                kind,
                settings,
                enabled,
                auto_provisioning,
                secret,
            },
            ingest_key_hash,
            health: health.map(Health::from).unwrap_or_default(),
            revision,
            created_at,
            updated_at,
        }
    }
}

impl From<connection_health::Model> for Health {
    fn from(model: connection_health::Model) -> Self {
        let recent = Recent::from(&model);
        let connection_health::Model {
            tenant_id: _,
            connection_id: _,
            uplinks,
            unknown_devices,
            other_messages,
            malformed,
            duplicates,
            last_message_at,
            last_error_at,
            last_error,
            connected,
            connected_since,
            connection_error,
            odd_times,
            last_odd_time,
            last_odd_time_at,
            unauthorized,
            unauthorized_at,
            ..
        } = model;
        let subscription = connected.map(|connected| Subscription {
            connected_since: connected_since.filter(|_| connected),
            error: connection_error,
        });
        Self {
            uplinks,
            unknown_devices,
            other_messages,
            malformed,
            duplicates,
            odd_times,
            last_odd_time,
            last_odd_time_at,
            unauthorized,
            unauthorized_at,
            last_message_at,
            last_error_at,
            last_error,
            recent,
            subscription,
        }
    }
}
