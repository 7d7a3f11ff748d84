//! Recent uplinks of a device.

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::Result,
    id::{ConnectionId, DeviceKey},
    store::{
        core::{
            json::members,
            listing::{self, Order, Place, Span, Stretch},
            page::Page,
            scope::Scope,
        },
        entities::uplink,
    },
};

/// Uplink, raw and decoded.
#[derive(Debug, Clone)]
pub struct Uplink {
    /// Identifier, which sorts by arrival.
    pub id: Uuid,
    /// Network connection that received it.
    pub connection: ConnectionId,
    /// Time at which the hub received it.
    pub received_at: Time,
    /// Time at which the network received it.
    pub time: Time,
    /// LoRaWAN port.
    pub f_port: Option<u8>,
    /// LoRaWAN frame counter.
    pub f_cnt: Option<u32>,
    /// Payload of the message.
    pub raw: Option<Vec<u8>>,
    /// Radio data of the reception, as the network's adapter wrote it.
    pub radio: Map<String, Value>,
    /// Data that the driver decoded.
    pub data: Option<Map<String, Value>>,
    /// Values per time, if the driver returned several.
    pub updates: Option<Value>,
    /// Reason why the driver could not decode it.
    pub failure: Option<Value>,
}

/// Returns a page of a device's uplinks in a period of the network's time.
pub async fn list(
    scope: &Scope,
    device: DeviceKey,
    span: Span,
    newest_first: bool,
    stretch: &Stretch<Uuid>,
) -> Result<Page<Uplink, Place<Uuid>>> {
    use uplink::Column;
    let query = scope
        .find::<uplink::Entity>()
        .filter(Column::DeviceKey.eq(device.0))
        .filter(span.of(Column::Ts));
    let order = Order::by_time(Column::Ts.into_expr(), Column::Id.into_expr(), newest_first);
    let page = listing::section(scope, query, &order, stretch, |row| {
        Place::of_time(row.ts, row.id)
    })
    .await?;
    Ok(page.map(Uplink::from))
}

/// Returns the radio data of the last uplink of a device over a connection.
pub async fn last_radio(
    scope: &Scope,
    device: DeviceKey,
    connection: ConnectionId,
) -> Result<Option<Value>> {
    use uplink::Column;
    Ok(scope
        .find::<uplink::Entity>()
        .filter(Column::DeviceKey.eq(device.0))
        .filter(Column::ConnectionId.eq(connection.0))
        .select_only()
        .column(Column::Radio)
        .order_by_desc(Column::Ts)
        .into_tuple()
        .one(scope.reader())
        .await?)
}

impl Uplink {
    /// Returns the place of the uplink in a list of its device's uplinks.
    pub fn place(&self) -> Place<Uuid> {
        Place::of_time(self.time, self.id)
    }

    /// Returns the times that its rows in data tables may have.
    pub fn value_times(&self) -> Vec<Time> {
        let updates = self.updates.as_ref().and_then(Value::as_array);
        let times = updates.into_iter().flatten().filter_map(|update| {
            let time = update.get("timestamp")?.as_str()?;
            time.parse::<Time>().ok()
        });
        [self.time].into_iter().chain(times).collect()
    }
}

impl From<uplink::Model> for Uplink {
    fn from(model: uplink::Model) -> Self {
        let uplink::Model {
            tenant_id: _,
            id,
            device_key: _,
            connection_id,
            received_at,
            ts,
            f_port,
            f_cnt,
            raw,
            radio,
            data,
            updates,
            failure,
        } = model;
        Self {
            id,
            connection: ConnectionId(connection_id),
            received_at,
            time: ts,
            f_port: f_port.and_then(|port| u8::try_from(port).ok()),
            f_cnt: f_cnt.and_then(|count| u32::try_from(count).ok()),
            raw,
            radio: members(radio),
            data: data.map(members),
            updates,
            failure,
        }
    }
}
