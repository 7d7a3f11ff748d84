//! Deliveries of a device's events: one for each integration that forwards the event, queued in the transaction that
//! records it.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    clock::Time,
    selector::Selector,
    store::{
        core::{
            bulk, gather::padded, ids::Ids, json::from_column, selectors::Selectors,
            transaction::DatabaseTransaction,
        },
        deliveries::State,
        entities::{delivery, device, event, integration},
        integrations::policy::{EventType, Policy},
    },
};

/// Event of a device that integrations may forward.
pub(in crate::store) struct ForwardedEvent {
    tenant: i64,
    device: i64,
    id: Uuid,
    event_type: EventType,
    kind: String,
    at: Time,
    message: String,
    details: Value,
}

/// Columns that are read of an integration.
#[derive(FromQueryResult)]
struct Row {
    tenant_id: i64,
    id: i64,
    selector: String,
    events: Value,
    delivery: Value,
}

/// Integration that forwards one of the events.
struct Forwarder {
    tenant: i64,
    id: i64,
    selector: Arc<Selector>,
    events: Vec<EventType>,
    ordered: bool,
}

/// Returns those of the events that integrations may forward.
pub(in crate::store) fn forwarded(events: &[event::ActiveModel]) -> Vec<ForwardedEvent> {
    events
        .iter()
        .filter_map(|event| {
            let kind = set(&event.kind)?;
            Some(ForwardedEvent {
                event_type: EventType::of_event(&kind)?,
                tenant: set(&event.tenant_id)?,
                device: set(&event.device_key)??,
                id: set(&event.id)?,
                at: set(&event.at)?,
                message: set(&event.message)?,
                details: set(&event.details)?,
                kind,
            })
        })
        .collect()
}

fn set<T: Clone + Into<sea_orm::Value>>(value: &ActiveValue<T>) -> Option<T> {
    value.try_as_ref().cloned()
}

/// Queues the deliveries of events, due at this time.
pub(in crate::store) async fn queue(
    transaction: &DatabaseTransaction,
    events: Vec<ForwardedEvent>,
    ids: &Ids,
    due_at: Time,
) -> Result<(), DbErr> {
    let rows = rows(transaction, events, &Selectors::default(), ids, due_at).await?;
    bulk::insert(transaction, rows, None).await
}

/// Returns the deliveries of events, due at this time. Reads nothing if there is no event to forward.
pub(in crate::store) async fn rows(
    transaction: &DatabaseTransaction,
    events: Vec<ForwardedEvent>,
    selectors: &Selectors,
    ids: &Ids,
    due_at: Time,
) -> Result<Vec<delivery::ActiveModel>, DbErr> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let forwarders = forwarders(transaction, &events, selectors).await?;
    if forwarders.is_empty() {
        return Ok(Vec::new());
    }
    let keys = events.iter().map(|event| event.device).collect();
    let devices = device::Entity::find()
        .filter(device::Column::Id.is_in(padded::<i64>(keys)))
        .all(transaction)
        .await?;
    let devices: HashMap<(i64, i64), &device::Model> = devices
        .iter()
        .map(|device| ((device.tenant_id, device.id), device))
        .collect();
    let mut rows = Vec::new();
    for event in &events {
        let Some(device) = devices.get(&(event.tenant, event.device)) else {
            continue;
        };
        let labels: Vec<String> = from_column(device::Column::Labels, device.labels.clone())?;
        let wanted = forwarders.iter().filter(|forwarder| {
            forwarder.tenant == event.tenant
                && forwarder.events.contains(&event.event_type)
                && forwarder.selector.matches(&labels)
        });
        for forwarder in wanted {
            rows.push(row(ids.next(), event, device, forwarder, due_at));
        }
    }
    Ok(rows)
}

async fn forwarders(
    transaction: &DatabaseTransaction,
    events: &[ForwardedEvent],
    selectors: &Selectors,
) -> Result<Vec<Forwarder>, DbErr> {
    use integration::Column;
    let mut tenants: Vec<i64> = events.iter().map(|event| event.tenant).collect();
    tenants.sort_unstable();
    tenants.dedup();
    let found = integration::Entity::find()
        .filter(Column::TenantId.is_in(tenants))
        .filter(Column::Enabled.eq(true))
        .select_only()
        .columns([
            Column::TenantId,
            Column::Id,
            Column::Selector,
            Column::Events,
            Column::Delivery,
        ])
        .into_model::<Row>()
        .all(transaction)
        .await?;
    let forwarder = |row: Row| -> Result<Option<Forwarder>, DbErr> {
        let wanted: Vec<EventType> = from_column(Column::Events, row.events)?;
        let is_wanted = |event: &ForwardedEvent| {
            event.tenant == row.tenant_id && wanted.contains(&event.event_type)
        };
        if !events.iter().any(is_wanted) {
            return Ok(None);
        }
        let policy: Policy = from_column(Column::Delivery, row.delivery)?;
        let selector = selectors.read(&row.selector);
        Ok(selector.map(|selector| Forwarder {
            tenant: row.tenant_id,
            id: row.id,
            selector,
            ordered: policy.ordered_by_device,
            events: wanted,
        }))
    };
    let forwarders = found
        .into_iter()
        .filter_map(|row| forwarder(row).transpose());
    forwarders.collect()
}

fn row(
    id: Uuid,
    event: &ForwardedEvent,
    device: &device::Model,
    forwarder: &Forwarder,
    due_at: Time,
) -> delivery::ActiveModel {
    let body = json!({
        "event": event.event_type.as_str(),
        "kind": event.kind,
        "id": event.id,
        "time": event.at,
        "message": event.message,
        "details": event.details,
        "device": {
            "id": device.device_id,
            "name": device.name.as_deref().unwrap_or_default(),
            "driver": device.driver.as_deref().unwrap_or_default(),
            "labels": device.labels,
            "connections": device.connections,
        },
    });
    delivery::ActiveModel {
        tenant_id: Set(event.tenant),
        id: Set(id),
        integration_id: Set(forwarder.id),
        device_id: Set(device.device_id.clone()),
        subject_id: Set(event.id),
        state: Set(State::Pending.as_str().to_owned()),
        attempt: Set(0),
        due_at: Set(Some(due_at)),
        body: Set(body.to_string()),
        last_status: Set(None),
        last_error: Set(None),
        created_at: Set(due_at),
        updated_at: Set(due_at),
        kind: Set(event.event_type.as_str().to_owned()),
        ordered: Set(forwarder.ordered),
        round_start: Set(0),
        last_answer: Set(None),
    }
}
