//! A message and its purpose.

/// Media type of JSON.
pub const JSON: &str = "application/json";
/// Sample message of an uplink, on which templates are checked and which tests send.
pub const SAMPLE: &str = include_str!("sample.json");

/// A message to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Media type.
    pub content_type: String,
    /// Text of the body.
    pub body: String,
}

/// Purpose of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Delivery of an event.
    Delivery,
    /// Test of an integration.
    Test,
}

/// Returns a delivery for unit tests.
#[cfg(test)]
pub fn delivery(body: &str) -> crate::store::deliveries::Delivery {
    use crate::{
        clock,
        id::new_uuid,
        store::{deliveries::State, integrations::policy::EventType},
    };
    let now = clock::now();
    crate::store::deliveries::Delivery {
        id: new_uuid(),
        device_id: "am102-meeting-2".to_owned(),
        kind: EventType::Data,
        subject_id: new_uuid(),
        state: State::Pending,
        attempt: 1,
        round_start: 0,
        ordered: false,
        due_at: None,
        body: body.to_owned(),
        last_status: None,
        last_error: None,
        last_answer: None,
        created_at: now,
        updated_at: now,
    }
}
