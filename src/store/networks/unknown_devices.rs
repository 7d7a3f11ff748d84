//! Devices that send over a connection without being provisioned.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};

use crate::{
    clock::Time,
    error::{Error, Result},
    id::{ConnectionId, TenantId},
    store::{
        core::{
            listing::{self, Order, Place, Stretch},
            page::Page,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        entities::{device_connection, unknown_device},
    },
};

/// Maximum number of unknown devices kept per connection; those silent for longest are deleted.
pub const UNKNOWN_DEVICES_MAX: u64 = 1000;

/// Message of an unknown device.
#[derive(Debug, Clone, Default)]
pub struct Sighting {
    /// Identifier of the device in its network.
    pub network_device_id: String,
    /// LoRaWAN port.
    pub f_port: Option<u8>,
    /// Payload of the message.
    pub raw: Option<Vec<u8>>,
    /// Name of the device in the network server.
    pub name: Option<String>,
    /// Application of the device in the network server.
    pub application: Option<String>,
}

/// Unknown device that has sent messages.
#[derive(Debug, Clone)]
pub struct UnknownDevice {
    /// Last message.
    pub last: Sighting,
    /// Time of the first message.
    pub first_seen_at: Time,
    /// Time of the last message.
    pub last_seen_at: Time,
    /// Number of messages.
    pub messages: i64,
}

/// Unknown devices seen in a batch of messages, by connection and address.
#[derive(Default)]
pub(in crate::store) struct Sightings(BTreeMap<(i64, String), unknown_device::ActiveModel>);

impl Sightings {
    pub(in crate::store) fn add(
        &mut self,
        (tenant, connection): (TenantId, ConnectionId),
        at: Time,
        sighting: &Sighting,
    ) {
        let key = (connection.0, sighting.network_device_id.clone());
        let before = self.0.remove(&key);
        let messages = before.map_or(0, |mut before| before.messages.take().unwrap_or(0));
        let row = unknown_device::ActiveModel {
            tenant_id: Set(tenant.0),
            connection_id: Set(connection.0),
            network_device_id: Set(sighting.network_device_id.clone()),
            first_seen_at: Set(at),
            last_seen_at: Set(at),
            messages: Set(messages + 1),
            f_port: Set(sighting.f_port.map(i32::from)),
            raw: Set(sighting.raw.clone()),
            name: Set(sighting.name.clone()),
            application: Set(sighting.application.clone()),
            ..Default::default()
        };
        self.0.insert(key, row);
    }

    /// Writes the sightings in the order of their keys, so that two hubs cannot deadlock.
    pub(in crate::store) async fn write(
        self,
        transaction: &DatabaseTransaction,
    ) -> Result<(), DbErr> {
        use unknown_device::{Column, Entity};
        let mut connections = Vec::new();
        for ((connection, _), row) in self.0 {
            let messages =
                Expr::col((Entity, Column::Messages)).add(Expr::cust("excluded.messages"));
            let seen_again = OnConflict::columns([Column::ConnectionId, Column::NetworkDeviceId])
                .update_columns([
                    Column::LastSeenAt,
                    Column::FPort,
                    Column::Raw,
                    Column::Name,
                    Column::Application,
                ])
                .value(Column::Messages, messages)
                .to_owned();
            Entity::insert(row)
                .on_conflict(seen_again)
                .exec_without_returning(transaction)
                .await?;
            connections.push(connection);
        }
        connections.dedup();
        for connection in connections {
            let newest = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(Column::ConnectionId.eq(connection))
                .order_by_desc(Column::LastSeenAt)
                .order_by_desc(Column::Id)
                .limit(UNKNOWN_DEVICES_MAX)
                .into_query();
            Entity::delete_many()
                .filter(Column::ConnectionId.eq(connection))
                .filter(Column::Id.not_in_subquery(newest))
                .exec(transaction)
                .await?;
        }
        Ok(())
    }
}

/// Returns a page of a connection's unknown devices, in either order of first contact. Devices that were provisioned
/// in the meantime are omitted.
pub async fn list(
    scope: &Scope,
    connection: ConnectionId,
    newest_first: bool,
    stretch: &Stretch,
) -> Result<Page<UnknownDevice, Place>> {
    use unknown_device::Column;
    let query = scope
        .find::<unknown_device::Entity>()
        .filter(still_unknown(connection));
    let order = Order::by_key(Column::Id.into_expr(), newest_first);
    let page = listing::section(scope, query, &order, stretch, |model| {
        Place::of_key(model.id)
    })
    .await?;
    Ok(page.map(UnknownDevice::from))
}

/// Returns an unknown device.
pub async fn get(scope: &Scope, connection: ConnectionId, address: &str) -> Result<UnknownDevice> {
    let found = scope
        .find::<unknown_device::Entity>()
        .filter(still_unknown(connection))
        .filter(unknown_device::Column::NetworkDeviceId.eq(address))
        .one(scope.reader())
        .await?;
    found
        .map(UnknownDevice::from)
        .ok_or_else(|| Error::missing("unknown device", address))
}

fn still_unknown(connection: ConnectionId) -> Condition {
    use device_connection::Column as Address;
    use unknown_device::{Column, Entity};
    let known = Query::select()
        .expr(Expr::value(1))
        .from(device_connection::Entity)
        .and_where(Expr::col((device_connection::Entity, Address::ConnectionId)).eq(connection.0))
        .and_where(
            Expr::col((device_connection::Entity, Address::NetworkDeviceId))
                .equals((Entity, Column::NetworkDeviceId)),
        )
        .to_owned();
    Condition::all()
        .add(Column::ConnectionId.eq(connection.0))
        .add(Expr::exists(known).not())
}

impl From<unknown_device::Model> for UnknownDevice {
    fn from(model: unknown_device::Model) -> Self {
        let unknown_device::Model {
            tenant_id: _,
            id: _,
            connection_id: _,
            network_device_id,
            first_seen_at,
            last_seen_at,
            messages,
            f_port,
            raw,
            name,
            application,
        } = model;
        Self {
            last: Sighting {
                network_device_id,
                f_port: f_port.and_then(|port| u8::try_from(port).ok()),
                raw,
                name,
                application,
            },
            first_seen_at,
            last_seen_at,
            messages,
        }
    }
}
