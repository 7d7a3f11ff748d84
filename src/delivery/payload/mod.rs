//! Payload formats of messages. The queue holds the native output format; the configured format is
//! applied when a message is sent, so a changed format also applies to queued deliveries.

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

/// A payload format, ready to be applied to messages.
pub enum Payload {
    /// Native output format, as queued.
    Native,
    /// CloudEvents 1.0 in structured mode.
    CloudEvents,
    /// User-defined template.
    Template(Arc<Template>),
}

/// Reason why no message was made.
#[derive(Debug, Clone, PartialEq)]
pub enum RenderError {
    /// The message can never be made, for this reason.
    Never(String),
    /// The message may be made at a later attempt.
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
    /// Reads the settings. Errors in a template are only found by [`Payload::check`].
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

    /// Checks the template. The error is the violated rule.
    pub async fn check(&self, renderer: &Renderer) -> Result<(), RenderError> {
        let Self::Template(template) = self else {
            return Ok(());
        };
        let template = template.clone();
        let checked = renderer.run(move || template.check()).await;
        checked
            .ok_or(RenderError::NotNow)?
            .map_err(RenderError::Never)
    }

    /// Returns the message of a delivery.
    pub async fn message(
        &self,
        renderer: &Renderer,
        delivery: &Delivery,
        origin: &str,
        purpose: Purpose,
    ) -> Result<Message, RenderError> {
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
                cloud_events::message(delivery, type_name, origin).map_err(RenderError::Never)
            }
            Self::Template(template) => {
                let (template, delivery) = (template.clone(), delivery.clone());
                let made = renderer
                    .run(move || template.message(&delivery, purpose))
                    .await;
                made.ok_or(RenderError::NotNow)?.map_err(RenderError::Never)
            }
        }
    }
}
