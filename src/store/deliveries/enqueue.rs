//! Deliveries that an uplink queues for an integration: the database row, and the same value in memory, so that an
//! integration's lane with no backlog need not read it again.

use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{super::entities::delivery, Delivery, State};
use crate::{
    clock::Time,
    id::{IntegrationId, TenantId},
    store::integrations::policy::EventType,
};

/// Delivery that was queued.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Tenant of the delivery.
    pub tenant: TenantId,
    /// Integration that it goes to.
    pub integration: IntegrationId,
    /// The delivery; `None` if an older delivery may have to go first, which only the database knows.
    pub delivery: Option<Delivery>,
}

/// Integration that receives an uplink.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Identifier of the integration.
    pub integration: IntegrationId,
    /// Requested types: [`EventType::Data`], [`EventType::Raw`] or both.
    pub events: Vec<EventType>,
    /// True if the deliveries of a device are sent one after the other.
    pub ordered: bool,
}

/// Subject of a delivery.
pub struct Subject<'a> {
    /// Tenant of the device.
    pub tenant: TenantId,
    /// Identifier of the device.
    pub device_id: &'a str,
    /// Identifier of the uplink.
    pub id: Uuid,
    /// Type of the event.
    pub kind: EventType,
    /// Rendered message.
    pub body: &'a str,
    /// Time of recording.
    pub at: Time,
}

/// Returns a delivery to this recipient that is due at once.
pub fn row(
    id: Uuid,
    subject: &Subject<'_>,
    recipient: &Recipient,
) -> (delivery::ActiveModel, Queued) {
    let (integration, ordered) = (recipient.integration, recipient.ordered);
    let delivery = Delivery {
        id,
        device_id: subject.device_id.to_owned(),
        kind: subject.kind,
        subject_id: subject.id,
        state: State::Pending,
        attempt: 0,
        round_start: 0,
        ordered,
        due_at: Some(subject.at),
        body: subject.body.to_owned(),
        last_status: None,
        last_error: None,
        last_answer: None,
        created_at: subject.at,
        updated_at: subject.at,
    };
    let queued = Queued {
        tenant: subject.tenant,
        integration,
        delivery: (!ordered).then(|| delivery.clone()),
    };
    (new_row(subject.tenant, integration, delivery), queued)
}

fn new_row(
    tenant: TenantId,
    integration: IntegrationId,
    delivery: Delivery,
) -> delivery::ActiveModel {
    let Delivery {
        id,
        device_id,
        kind,
        subject_id,
        state,
        attempt,
        round_start,
        ordered,
        due_at,
        body,
        last_status,
        last_error,
        last_answer,
        created_at,
        updated_at,
    } = delivery;
    delivery::ActiveModel {
        tenant_id: Set(tenant.0),
        id: Set(id),
        integration_id: Set(integration.0),
        device_id: Set(device_id),
        subject_id: Set(subject_id),
        state: Set(state.as_str().to_owned()),
        attempt: Set(attempt),
        due_at: Set(due_at),
        body: Set(body),
        last_status: Set(last_status),
        last_error: Set(last_error),
        created_at: Set(created_at),
        updated_at: Set(updated_at),
        kind: Set(kind.as_str().to_owned()),
        ordered: Set(ordered),
        round_start: Set(round_start),
        last_answer: Set(last_answer),
    }
}
