//! The form in which a message goes out. What is queued is the native output format; the form is put
//! on it when it is sent, so that a changed form holds for what still waits, too.

mod cloud_events;
mod message;
mod renderer;
mod template;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::store::deliveries::Delivery;
use message::JSON;
pub use message::{Message, Purpose, SAMPLE};
pub use renderer::{Renderer, Renderers};
use template::Template;

/// A form, ready to be put on messages.
pub enum Payload {
    /// The native output format, as it was queued.
    Native,
    /// CloudEvents 1.0 in the structured mode.
    CloudEvents,
    /// A template of the user's.
    Template(Arc<Template>),
}

/// Why there is no message.
#[derive(Debug, Clone, PartialEq)]
pub enum Unmade {
    /// And never will be.
    Never(String),
    /// It may be made another time.
    NotNow,
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
    /// Reads the settings. Whether a template reads is what [`Payload::check`] tells.
    pub fn read(settings: &Value) -> Result<Self, String> {
        match Settings::deserialize(settings).map_err(|error| error.to_string())? {
            Settings::Native => Ok(Self::Native),
            Settings::Cloudevents => Ok(Self::CloudEvents),
            Settings::Template {
                template,
                content_type,
            } => Ok(Self::Template(Arc::new(Template::new(
                template,
                content_type,
            )))),
        }
    }

    /// The error is the broken rule of the template.
    pub async fn check(&self, renderer: &Renderer) -> Result<(), Unmade> {
        let Self::Template(template) = self else {
            return Ok(());
        };
        let template = template.clone();
        let checked = renderer.run(move || template.check()).await;
        checked.ok_or(Unmade::NotNow)?.map_err(Unmade::Never)
    }

    /// The message of a delivery.
    pub async fn message(
        &self,
        renderer: &Renderer,
        delivery: &Delivery,
        origin: &str,
        purpose: Purpose,
    ) -> Result<Message, Unmade> {
        match self {
            Self::Native => Ok(Message {
                content_type: JSON.to_owned(),
                body: delivery.body.clone(),
            }),
            Self::CloudEvents => {
                let type_name = match purpose {
                    Purpose::Delivery => delivery.kind.as_str(),
                    Purpose::Test => "test",
                };
                cloud_events::message(delivery, type_name, origin).map_err(Unmade::Never)
            }
            Self::Template(template) => {
                let (template, delivery) = (template.clone(), delivery.clone());
                let made = renderer
                    .run(move || template.message(&delivery, purpose))
                    .await;
                made.ok_or(Unmade::NotNow)?.map_err(Unmade::Never)
            }
        }
    }
}
