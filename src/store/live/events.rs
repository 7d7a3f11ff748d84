//! Events: what is worth telling of a device or a connection that is not an uplink.

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

/// Whose events to read.
#[derive(Debug, Clone, Copy)]
pub enum Subject {
    /// A device's.
    Device(DeviceKey),
    /// A connection's.
    Connection(ConnectionId),
}

/// Something worth telling.
#[derive(Debug, Clone)]
pub struct Event {
    /// Sorts by time.
    pub id: Uuid,
    /// One of the words of `api::events::EventKind`.
    pub kind: String,
    /// When it happened.
    pub at: Time,
    /// For a person.
    pub message: String,
    /// For a program; what is in it depends on the kind.
    pub details: Map<String, Value>,
}

/// Something to tell.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its kind, as in [`Event`].
    pub kind: &'static str,
    /// For a person.
    pub message: String,
    /// For a program.
    pub details: Map<String, Value>,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<&'static str>,
    /// In this time.
    pub span: Span,
}

/// Adds an event of what happened outside of the uplink path, with its deliveries.
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
    let told = of_events::told(std::slice::from_ref(&event));
    event::Entity::insert(event)
        .exec_without_returning(transaction)
        .await?;
    of_events::queue(transaction, told, &ids, now).await?;
    Ok(())
}

/// A stretch of the events of one subject, by time.
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
    let total = listing::total(scope, &query, stretch).await?;
    let order = Order::by_key(Column::Id.into_expr(), newest_first);
    let found = order.of(query, stretch)?.all(scope.reader()).await?;
    let page = Page::cut(found, stretch.limit, |model| Place::of_key(model.id));
    Ok(page.of(total).map(Event::from))
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
