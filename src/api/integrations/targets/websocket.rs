//! Target type `websocket`.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::target_type::TargetType;
use crate::{
    hub::integrations::stream::STREAM_KEY,
    id::IntegrationId,
    secret::{Claim, NOWHERE, SealedCredentials},
};

/// Those who follow it over a WebSocket: the integration's view says under which URL. Everybody who
/// follows gets every message; what is queued while nobody does waits, up to the setting
/// `stream_backlog_max`
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSocketTarget {}

/// Those who follow it over a WebSocket
#[derive(Object, Serialize)]
pub struct WebSocketTargetView {
    /// Where to follow: `wss://`, if the operator has set `public_url`; a path of this very server otherwise
    url: String,
    /// Whether it has a key of its own, to follow without a token; `create_integration_key` makes one
    has_key: bool,
}

impl TargetType for WebSocketTarget {
    const KIND: &'static str = "websocket";

    fn take_claims(&mut self) -> Vec<Claim> {
        vec![Claim::optional(STREAM_KEY, "target", None, NOWHERE)]
    }
}

impl WebSocketTargetView {
    pub fn new(id: IntegrationId, origin: Option<&str>, secrets: &SealedCredentials) -> Self {
        let origin = origin.unwrap_or_default().trim_end_matches('/');
        let origin = origin.replacen("https://", "wss://", 1);
        Self {
            url: format!("{origin}/api/v3/integrations/{id}/stream"),
            has_key: secrets.has(STREAM_KEY),
        }
    }
}
