//! The form in which a message goes out. What is queued is the native output format; the form is put
//! on it when it is sent, so that a changed form holds for what still waits, too.

mod cloud_events;
mod template;

use serde::Deserialize;
use serde_json::Value;

use crate::store::deliveries::Delivery;
use template::Template;

const JSON: &str = "application/json";

/// What is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its media type.
    pub content_type: String,
    /// Its text.
    pub body: String,
}

/// A form, ready to be put on messages.
pub enum Payload {
    /// The native output format, as it was queued.
    Native,
    /// CloudEvents 1.0 in the structured mode.
    CloudEvents,
    /// A template of the user's.
    Template(Box<Template>),
}

/// The settings as they are stored.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Settings {
    Native,
    Cloudevents,
    Template {
        template: String,
        content_type: String,
    },
}

impl Payload {
    /// Reads the settings; the error is the broken rule of the template.
    pub fn read(settings: &Value) -> Result<Self, String> {
        match Settings::deserialize(settings).map_err(|error| error.to_string())? {
            Settings::Native => Ok(Self::Native),
            Settings::Cloudevents => Ok(Self::CloudEvents),
            Settings::Template {
                template,
                content_type,
            } => Ok(Self::Template(Box::new(Template::new(
                template,
                content_type,
            )?))),
        }
    }

    /// The message of a delivery; the error is why there is none, and never will be.
    pub fn message(&self, delivery: &Delivery, origin: &str) -> Result<Message, String> {
        match self {
            Self::Native => Ok(Message {
                content_type: JSON.to_owned(),
                body: delivery.body.clone(),
            }),
            Self::CloudEvents => cloud_events::message(delivery, origin),
            Self::Template(template) => template.message(delivery),
        }
    }
}

#[cfg(test)]
fn delivery(body: &str) -> Delivery {
    use crate::{
        clock,
        id::new_uuid,
        store::{deliveries::State, delivery_policy::EventType},
    };
    let now = clock::now();
    Delivery {
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
