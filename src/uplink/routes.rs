//! What the uplink path must know of connections and devices, kept ready.
//!
//! An entry counts only at the epoch of its tenant at which it was read: a change by a client is
//! seen by the next uplink, and an uplink of a known device reads nothing from the database. Where several
//! hubs share the database, the others' changes are seen as the uplink is written; what is not to be
//! written, because of what an entry says, is first held against the database ([`Routes::is_current`]). What
//! turns out to be wrong when a message is written is dropped, whatever the epoch says.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU8, Ordering},
    },
};

use moka::sync::Cache;

use super::{auto_provisioning::Rule, weights};
use crate::{
    codec::decode::Decoding,
    driver::{BUILT_IN_AUTHOR, BuiltIn, Script, schema::Schema},
    error::{Error, Result},
    id::{ConnectionId, DataTableId, DeviceKey, TenantId},
    networks::{self, NetworkSettings, fold_network_device_id},
    reference::{DriverKey, Pick, Reference},
    secret::{Credentials, Stored, Vault},
    selector::Selector,
    store::{
        Scope, Store,
        core::listing::{Sort, Stretch},
        data::{self, DataTable},
        devices::{self, Device},
        drivers::versions::{self, Content},
        integrations::{self, Integration},
        networks::{self as connections, NewConnection},
        uplink_batch::Recipient,
    },
};

const CONNECTIONS_MAX: u64 = 10_000;
/// What is kept ready of devices, in bytes: of some fifty thousand as they usually are.
const DEVICES_MAX_BYTES: u64 = 96 << 20;
/// The same of tenants: of thousands as they usually are. A larger one is read for each of its devices.
const TENANTS_MAX_BYTES: u64 = 64 << 20;
/// The same of versions of drivers.
const VERSIONS_MAX_BYTES: u64 = 32 << 20;
/// Data tables or integrations that one tenant may have.
const TARGETS_MAX: u64 = 10_000;

/// A network connection, ready to read messages.
pub struct ConnectionRoute {
    pub id: ConnectionId,
    pub scope: Scope,
    /// The tenant's epoch at which it was read.
    pub epoch: u64,
    pub enabled: bool,
    pub settings: NetworkSettings,
    pub ingest_key_hash: Vec<u8>,
    /// Its secrets, where it has any; an error where they do not open.
    pub credentials: Result<Option<Credentials>>,
    /// Which unknown senders become devices.
    pub auto_provisioning: Option<Rule>,
}

/// A device, with all that follows from one of its uplinks.
pub struct DeviceRoute {
    pub key: DeviceKey,
    pub device: Device,
    pub connection_names: Vec<(i64, String)>,
    pub driver: DriverRoute,
    pub tables: Vec<TableRoute>,
    pub integrations: Vec<Recipient>,
}

/// Which script decodes.
pub enum DriverRoute {
    /// None: the device has no driver.
    None,
    /// One that is part of the hub.
    BuiltIn(BuiltIn),
    /// A version that somebody pushed.
    Version {
        /// The driver's author and name.
        driver: DriverKey,
        /// The version itself, which another driver may have as well.
        version: Arc<DriverVersion>,
    },
    /// The device refers to a driver or tag that is not there.
    Missing(String),
}

impl DriverRoute {
    /// Author and name, of a driver that somebody pushed.
    pub fn key(&self) -> Option<&DriverKey> {
        match self {
            Self::Version { driver, .. } => Some(driver),
            Self::None | Self::BuiltIn(_) | Self::Missing(_) => None,
        }
    }

    /// What decodes, where anything does.
    pub fn decoding(&self) -> Option<Decoding> {
        match self {
            Self::None | Self::Missing(_) => None,
            Self::BuiltIn(driver) => Some(Decoding::BuiltIn(*driver)),
            Self::Version { version, .. } => Some(Decoding::Version(version.clone())),
        }
    }
}

/// A version of a driver, ready to run.
pub struct DriverVersion {
    /// What it is called by; `None`: nobody has pushed it.
    pub digest: Option<String>,
    pub script: Arc<Script>,
    /// What it must decode to, where it says.
    pub schema: Option<Arc<Schema>>,
    /// Whether it keeps a state.
    pub nature: Nature,
}

/// Whether a version of a driver keeps a state, as far as it has shown.
#[derive(Default)]
pub struct Nature(AtomicU8);

impl Nature {
    const PLAIN: u8 = 1;
    const STATEFUL: u8 = 2;

    /// It has returned plain fields, and never a state.
    pub fn is_plain(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::PLAIN
    }

    /// Learns from what it has returned.
    pub fn learn(&self, returned_state: bool) {
        let nature = if returned_state {
            Self::STATEFUL
        } else {
            Self::PLAIN
        };
        // Once stateful, always: it may return plain fields in between.
        self.0.fetch_max(nature, Ordering::Relaxed);
    }
}

/// A data table that keeps the device's data.
#[derive(Clone)]
pub struct TableRoute {
    pub id: DataTableId,
    /// `None`: every field.
    pub columns: Option<Vec<Column>>,
}

/// One column of a data table, as it is stored.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Column {
    /// Path of the decoded field, its parts joined by dots.
    pub path: String,
    /// What the field must be to be kept.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Its unit, for people.
    pub unit: Option<String>,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    Number,
    Text,
    Boolean,
    Json,
}

/// The data tables and integrations of a tenant, with their selectors read.
struct Targets {
    tables: Vec<(Selector, TableRoute)>,
    integrations: Vec<(Selector, Recipient)>,
    /// About how many bytes it takes.
    weight: u32,
}

/// At which epoch of its tenant something was read, and after how many doubts.
type Age = (u64, u64);

type Kept<T> = (Age, Arc<T>);

pub struct Routes {
    store: Store,
    vault: Vault,
    connections: Cache<ConnectionId, Kept<ConnectionRoute>>,
    devices: Cache<(ConnectionId, String), Kept<DeviceRoute>>,
    targets: Cache<i64, Kept<Targets>>,
    /// With what each weighs.
    versions: Cache<String, (u32, Arc<DriverVersion>)>,
    /// How often what is kept of a tenant has turned out to be wrong, of those of whom it has.
    doubts: RwLock<HashMap<TenantId, u64>>,
}

impl Routes {
    pub fn new(store: Store, vault: Vault) -> Self {
        Self {
            store,
            vault,
            connections: Cache::new(CONNECTIONS_MAX),
            devices: Cache::builder()
                .max_capacity(DEVICES_MAX_BYTES)
                .weigher(|_, (_, route): &Kept<DeviceRoute>| weights::of_device(route))
                .build(),
            targets: Cache::builder()
                .max_capacity(TENANTS_MAX_BYTES)
                .weigher(|_, (_, targets): &Kept<Targets>| targets.weight)
                .build(),
            versions: Cache::builder()
                .max_capacity(VERSIONS_MAX_BYTES)
                .weigher(|_, (weight, _): &(u32, Arc<DriverVersion>)| *weight)
                .build(),
            doubts: RwLock::default(),
        }
    }

    /// Drops what is kept of a tenant since this epoch, if that still counts: it refers to what is not there,
    /// though nothing has told of a change.
    pub fn doubt(&self, tenant: TenantId, epoch: u64) {
        if self.store.scope(tenant).epoch() != epoch {
            return;
        }
        tracing::warn!(
            tenant.id = tenant.0,
            "a message refers to what is not there: what is kept ready of its tenant is dropped"
        );
        let mut doubts = self.doubts.write().unwrap_or_else(PoisonError::into_inner);
        *doubts.entry(tenant).or_default() += 1;
    }

    /// The age of what is read of the tenant from now on.
    fn age(&self, scope: &Scope) -> Age {
        let doubts = self.doubts.read().unwrap_or_else(PoisonError::into_inner);
        let doubts = doubts.get(&scope.tenant()).copied();
        (scope.epoch(), doubts.unwrap_or_default())
    }

    pub async fn connection(&self, id: ConnectionId) -> Result<Option<Arc<ConnectionRoute>>> {
        if let Some((age, route)) = self.connections.get(&id)
            && self.age(&route.scope) == age
        {
            return Ok(Some(route));
        }
        // On the heap, because every message would otherwise carry the room for a look-up.
        Box::pin(self.look_up_connection(id)).await
    }

    /// Whether a connection is still as it was read, on whichever hub somebody may have changed it.
    pub async fn is_current(&self, connection: &ConnectionRoute) -> Result<bool> {
        connection.scope.catch_up().await?;
        Ok(connection.scope.epoch() == connection.epoch)
    }

    async fn look_up_connection(&self, id: ConnectionId) -> Result<Option<Arc<ConnectionRoute>>> {
        let Some(tenant) = self.store.find_tenant_of_connection(id).await? else {
            return Ok(None);
        };
        let scope = self.store.scope(tenant);
        let age = self.age(&scope);
        let Some(connection) = connections::find(&scope, id).await? else {
            return Ok(None);
        };
        let NewConnection {
            enabled,
            settings,
            auto_provisioning,
            secret,
            ..
        } = connection.provisioned;
        let place = networks::place(tenant, id.0);
        let stored = Stored {
            settings: &settings,
            secret: secret.as_deref(),
        };
        let has_secret = stored.secret.is_some();
        let opened = has_secret.then(|| self.vault.open_credentials(&place, stored));
        let opened = opened.transpose();
        let rule = auto_provisioning.map(Rule::read);
        let route = Arc::new(ConnectionRoute {
            id,
            epoch: age.0,
            enabled,
            settings: serde_json::from_value(settings).map_err(Error::internal)?,
            credentials: opened,
            auto_provisioning: rule.transpose()?,
            ingest_key_hash: connection.ingest_key_hash,
            scope,
        });
        // What does not open now may do so when somebody has put its key back.
        if route.credentials.is_ok() {
            self.connections.insert(id, (age, route.clone()));
        }
        Ok(Some(route))
    }

    pub async fn device(
        &self,
        connection: &ConnectionRoute,
        address: &str,
    ) -> Result<Option<Arc<DeviceRoute>>> {
        let key = (connection.id, fold_network_device_id(address));
        let age = self.age(&connection.scope);
        if let Some((read_at, route)) = self.devices.get(&key)
            && read_at == age
        {
            return Ok(Some(route));
        }
        // On the heap, as above.
        Box::pin(self.look_up_device(connection, key, address, age)).await
    }

    async fn look_up_device(
        &self,
        connection: &ConnectionRoute,
        key: (ConnectionId, String),
        address: &str,
        age: Age,
    ) -> Result<Option<Arc<DeviceRoute>>> {
        let found = devices::find_by_address(&connection.scope, connection.id, &key.1).await?;
        let found = match found {
            // One that was provisioned with separators in its DevEUI, when they told devices apart.
            None if key.1 != address => {
                devices::find_by_address(&connection.scope, connection.id, address).await?
            }
            found => found,
        };
        let Some(device) = found else {
            return Ok(None);
        };
        let route = Arc::new(self.compose(&connection.scope, age, device).await?);
        self.devices.insert(key, (age, route.clone()));
        Ok(Some(route))
    }

    /// What follows from an uplink of this device. No batch of messages will find out whether that is out of
    /// date.
    pub async fn of(&self, scope: &Scope, device: Device) -> Result<DeviceRoute> {
        scope.catch_up().await?;
        self.compose(scope, self.age(scope), device).await
    }

    async fn compose(&self, scope: &Scope, age: Age, device: Device) -> Result<DeviceRoute> {
        let targets = self.targets(scope, age).await?;
        let labels = &device.provisioned.labels;
        let tables = targets
            .tables
            .iter()
            .filter(|(selector, _)| selector.matches(labels));
        let integrations = targets
            .integrations
            .iter()
            .filter(|(selector, _)| selector.matches(labels));
        let mut connection_names = Vec::new();
        for address in &device.provisioned.connections {
            let id = address.network_connection_id;
            let name = connections::find(scope, ConnectionId(id)).await?;
            connection_names.push((
                id,
                name.map(|connection| connection.provisioned.name)
                    .unwrap_or_default(),
            ));
        }
        Ok(DeviceRoute {
            key: device.key,
            connection_names,
            driver: self
                .driver(scope, device.provisioned.driver.as_deref())
                .await?,
            tables: tables.map(|(_, table)| table.clone()).collect(),
            integrations: integrations
                .map(|(_, recipient)| recipient.clone())
                .collect(),
            device,
        })
    }

    /// What a reference stands for.
    pub async fn driver(&self, scope: &Scope, reference: Option<&str>) -> Result<DriverRoute> {
        let Some(reference) = reference else {
            return Ok(DriverRoute::None);
        };
        let missing = || DriverRoute::Missing(reference.to_owned());
        let Some(parsed) = Reference::parse(reference) else {
            return Ok(missing());
        };
        if parsed.key.author == BUILT_IN_AUTHOR {
            let found = BuiltIn::find(&parsed.key.author, &parsed.key.name);
            return Ok(found.map_or_else(missing, DriverRoute::BuiltIn));
        }
        let (key, pick) = (&parsed.key, parsed.pick());
        let Some(digest) = versions::find_digest(scope, key, &pick).await? else {
            return Ok(missing());
        };
        // What a digest stands for never changes, whosever version it is.
        if let Some((_, version)) = self.versions.get(&digest) {
            let driver = parsed.key;
            return Ok(DriverRoute::Version { driver, version });
        }
        let pick = Pick::Digest(digest.clone());
        let Some(found) = versions::find(scope, key, &pick).await? else {
            return Ok(missing());
        };
        let schema = found.content.schema.as_ref().map_or(0, String::len);
        let version = Arc::new(DriverVersion::new(found.content)?);
        let weight = weights::of_version(&version, schema);
        self.versions.insert(digest, (weight, version.clone()));
        let driver = parsed.key;
        Ok(DriverRoute::Version { driver, version })
    }

    async fn targets(&self, scope: &Scope, age: Age) -> Result<Arc<Targets>> {
        let tenant = scope.tenant().0;
        if let Some((read_at, targets)) = self.targets.get(&tenant)
            && read_at == age
        {
            return Ok(targets);
        }
        let (sort, first) = (Sort::default(), Stretch::first(TARGETS_MAX));
        let tables = data::list::<Column>(scope, None, sort, &first).await?;
        let integrations =
            integrations::list(scope, &integrations::Filter::default(), sort, &first).await?;
        let of_tables = tables.items.iter().map(|table| &table.provisioned.selector);
        let of_integrations = integrations.items.iter();
        let of_integrations = of_integrations.map(|found| &found.provisioned.selector);
        let selectors = of_tables.chain(of_integrations).map(String::len).sum();
        let tables: Vec<_> = tables.items.into_iter().filter_map(table_route).collect();
        let integrations = integrations.items.into_iter();
        let integrations: Vec<_> = integrations.filter_map(integration_route).collect();
        let routes: Vec<&TableRoute> = tables.iter().map(|(_, table)| table).collect();
        let targets = Arc::new(Targets {
            weight: weights::of_targets(selectors, integrations.len(), &routes),
            tables,
            integrations,
        });
        self.targets.insert(tenant, (age, targets.clone()));
        Ok(targets)
    }
}

impl DriverVersion {
    fn new(content: Content) -> Result<Self> {
        let schema = content.schema.as_deref().map(Schema::parse);
        Ok(Self {
            digest: Some(content.digest),
            script: Arc::new(Script {
                digest: content.script_digest,
                source: content.script,
            }),
            // It was read when the version was pushed.
            schema: schema.transpose().map_err(Error::internal)?,
            nature: Nature::default(),
        })
    }
}

/// A selector was checked when it was stored; one that no longer reads picks nothing.
fn read_selector(text: &str, what: impl std::fmt::Display) -> Option<Selector> {
    Selector::parse(text)
        .inspect_err(|error| {
            tracing::error!("the stored selector of {what} does not read: {error}")
        })
        .ok()
}

fn table_route(table: DataTable<Column>) -> Option<(Selector, TableRoute)> {
    let selector = read_selector(
        &table.provisioned.selector,
        format_args!("data table {}", table.id),
    )?;
    Some((
        selector,
        TableRoute {
            id: table.id,
            columns: table.provisioned.columns,
        },
    ))
}

fn integration_route(integration: Integration) -> Option<(Selector, Recipient)> {
    let provisioned = &integration.provisioned;
    let recipient = Recipient {
        integration: integration.id,
        events: provisioned.uplink_events(),
        ordered: provisioned.delivery.ordered_by_device,
    };
    if !provisioned.enabled || recipient.events.is_empty() {
        return None;
    }
    let selector = read_selector(
        &integration.provisioned.selector,
        format_args!("integration {}", integration.id),
    )?;
    Some((selector, recipient))
}
