//! A message, and what it is made for.

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// A message as an uplink makes one: what templates are tried on, and what a test sends.
pub const SAMPLE: &str = include_str!("sample.json");

/// What is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its media type.
    pub content_type: String,
    /// Its text.
    pub body: String,
}

/// What a message is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To tell what happened.
    Delivery,
    /// To see whether it arrives.
    Test,
}

/// A delivery for unit tests.
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
