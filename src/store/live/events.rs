//! Events of devices and connections: everything of note except uplinks.

use sea_orm::{ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter};
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
            transaction::DatabaseTransaction,
        },
        deliveries::of_events,
        entities::event,
    },
};

/// Subject of the events.
#[derive(Debug, Clone, Copy)]
pub enum Subject {
    /// Events of a device.
    Device(DeviceKey),
    /// Events of a network connection.
    Connection(ConnectionId),
}

/// Recorded event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Identifier, which sorts by time.
    pub id: Uuid,
    /// Kind, a word of `api::events::EventKind`.
    pub kind: String,
    /// Time of the event.
    pub at: Time,
    /// Message for people.
    pub message: String,
    /// Details for programs; their content depends on the kind.
    pub details: Map<String, Value>,
}

/// Event to record.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Kind, as in [`Event`].
    pub kind: &'static str,
    /// Message for people.
    pub message: String,
    /// Details for programs.
    pub details: Map<String, Value>,
}

/// Filter of events; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Kind of the events.
    pub kind: Option<&'static str>,
    /// Period of the events.
    pub span: Span,
}

/// Adds an event from outside of the uplink path, with its deliveries.
pub(in crate::store) async fn insert(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    device: Option<DeviceKey>,
    connection: Option<ConnectionId>,
    new: NewEvent,
) -> Result<(), DbErr> {
    let (ids, now) = (scope.store.ids(), scope.now());
    let event = event::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        id: Set(ids.next()),
        kind: Set(new.kind.to_owned()),
        device_key: Set(device.map(|key| key.0)),
        connection_id: Set(connection.map(|id| id.0)),
        at: Set(now),
        message: Set(new.message),
        details: Set(Value::Object(new.details)),
    };
    let forwarded = of_events::forwarded(std::slice::from_ref(&event));
    event::Entity::insert(event)
        .exec_without_returning(transaction)
        .await?;
    of_events::queue(transaction, forwarded, &ids, now).await?;
    Ok(())
}

/// Returns a page of the events of one subject, ordered by time.
pub async fn list(
    scope: &Scope,
    subject: Subject,
    filter: &Filter,
    newest_first: bool,
    stretch: &Stretch<Uuid>,
) -> Result<Page<Event, Place<Uuid>>> {
    use event::Column;
    let subject = match subject {
        Subject::Device(key) => Column::DeviceKey.eq(key.0),
        Subject::Connection(id) => Column::ConnectionId.eq(id.0),
    };
    let mut query = scope
        .find::<event::Entity>()
        .filter(subject)
        .filter(filter.span.condition(Column::At, Column::Id));
    if let Some(kind) = filter.kind {
        query = query.filter(Column::Kind.eq(kind));
    }
    let order = Order::by_key(Column::Id.into_expr(), newest_first);
    let page = listing::section(scope, query, &order, stretch, |model| {
        Place::of_key(model.id)
    })
    .await?;
    Ok(page.map(Event::from))
}

impl From<event::Model> for Event {
    fn from(model: event::Model) -> Self {
        Self {
            id: model.id,
            kind: model.kind,
            at: model.at,
            message: model.message,
            details: members(model.details),
        }
    }
}
