//! Events: what is worth telling of a device or a connection that is not an uplink.

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Page, Scope, entities::event, members};
use crate::{
    clock::Time,
    error::Result,
    id::{ConnectionId, DeviceKey},
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
    /// `driver_failed`, `driver_warning`, `driver_logged`, `unknown_device`, `message`.
    pub kind: String,
    /// When it happened.
    pub at: Time,
    /// For a person.
    pub message: String,
    /// For a program; what is in it depends on the kind.
    pub details: Map<String, Value>,
}

/// A stretch of the events of one subject, newest first.
pub async fn list(
    scope: &Scope,
    subject: Subject,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Page<Event, Uuid>> {
    use event::Column;
    let subject = match subject {
        Subject::Device(key) => Column::DeviceKey.eq(key.0),
        Subject::Connection(id) => Column::ConnectionId.eq(id.0),
    };
    let mut query = scope.find::<event::Entity>().filter(subject);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    let found = query
        .order_by_desc(Column::Id)
        .limit(limit + 1)
        .all(scope.reader())
        .await?
        .into_iter()
        .map(|model| Event {
            id: model.id,
            kind: model.kind,
            at: model.at,
            message: model.message,
            details: members(model.details),
        })
        .collect();
    Ok(Page::cut(found, limit, |event: &Event| event.id))
}
