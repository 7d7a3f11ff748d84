//! Cache of the connections and devices that the uplink path needs.
//!
//! An entry is valid only at the epoch of its tenant at which it was read: a client's change is visible
//! to the next uplink, and an uplink of a known device reads nothing from the database. If several hubs
//! share the database, changes of other hubs are detected when the uplink is written. Before an entry
//! causes a message to be rejected, it is checked against the database ([`Routes::is_current`]). An
//! entry that turns out to be wrong when a message is written is dropped, whatever its epoch.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use moka::sync::Cache;

use super::{
    auto_provisioning::Rule,
    route::{Column, ConnectionRoute, DeviceRoute, TableRoute},
    weights,
};
use crate::{
    codec::Codec,
    error::{Error, Result},
    id::{ConnectionId, TenantId},
    networks::{self, fold_network_device_id},
    secret::{Stored, Vault},
    selector::Selector,
    store::{
        Scope, Store,
        core::listing::{Sort, Stretch},
        data::{self, DataTable},
        deliveries::enqueue::Recipient,
        devices::{self, Device},
        integrations::{self, Integration},
        networks::{self as connections, NewConnection},
    },
};

const CONNECTIONS_MAX: u64 = 10_000;
/// Capacity of the device cache in bytes; enough for about fifty thousand typical devices.
const DEVICES_MAX_BYTES: u64 = 96 << 20;
/// Capacity of the target cache in bytes; enough for thousands of typical tenants. A larger tenant is
/// read again for each of its devices.
const TENANTS_MAX_BYTES: u64 = 64 << 20;
/// Maximum number of data tables, and of integrations, of one tenant.
const TARGETS_MAX: u64 = 10_000;

/// The data tables and integrations of a tenant, with parsed selectors.
struct Targets {
    tables: Vec<(Selector, TableRoute)>,
    integrations: Vec<(Selector, Recipient)>,
    /// Approximate size in bytes.
    weight: u32,
}

/// Epoch of the tenant at which an entry was read, and the number of invalidations until then.
type Age = (u64, u64);

type Kept<T> = (Age, Arc<T>);

pub struct Routes {
    store: Store,
    vault: Vault,
    codec: Codec,
    connections: Cache<ConnectionId, Kept<ConnectionRoute>>,
    devices: Cache<(ConnectionId, String), Kept<DeviceRoute>>,
    targets: Cache<i64, Kept<Targets>>,
    /// Number of invalidations by tenant; tenants without any are absent.
    doubts: RwLock<HashMap<TenantId, u64>>,
}

impl Routes {
    pub fn new(store: Store, vault: Vault, codec: Codec) -> Self {
        Self {
            store,
            vault,
            codec,
            connections: Cache::new(CONNECTIONS_MAX),
            devices: Cache::builder()
                .max_capacity(DEVICES_MAX_BYTES)
                .weigher(|_, (_, route): &Kept<DeviceRoute>| weights::of_device(route))
                .build(),
            targets: Cache::builder()
                .max_capacity(TENANTS_MAX_BYTES)
                .weigher(|_, (_, targets): &Kept<Targets>| targets.weight)
                .build(),
            doubts: RwLock::default(),
        }
    }

    /// Invalidates the tenant's entries if `epoch` is still current: they refer to missing entities
    /// although no change was announced.
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

    /// Returns the age for entries of the tenant that are read from now on.
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
        // Boxed because otherwise every message would pay for the size of the look-up future.
        Box::pin(self.look_up_connection(id)).await
    }

    /// True if no hub has changed the connection since it was read.
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
        // Not cached if the secret cannot be decrypted, because an operator may restore the key at any time.
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
        // Boxed for the same reason as in `connection`.
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
            // The device may have been stored with separators in its DevEUI, which were significant in the past.
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

    /// Returns the route of a device for work outside a batch, where no write would detect an outdated
    /// entry.
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
                .codec
                .driver(scope, device.provisioned.driver.as_deref())
                .await?,
            tables: tables.map(|(_, table)| table.clone()).collect(),
            integrations: integrations
                .map(|(_, recipient)| recipient.clone())
                .collect(),
            device,
        })
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

/// Parses a stored selector. A selector was validated when it was stored; an unreadable one matches
/// nothing.
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
