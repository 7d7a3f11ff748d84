//! Target type `websocket`.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::target_type::TargetType;
use crate::{
    hub::integrations::stream::STREAM_KEY,
    id::IntegrationId,
    secret::{Claim, NOWHERE, SealedCredentials},
};

/// Clients that follow the integration over a WebSocket. The response contains the `url` to connect to. All followers
/// receive every new message. Messages that are queued while nobody follows wait for the next follower, up to the
/// newest `stream_backlog_max` (setting of the hub); older ones become dead letters.
#[derive(Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSocketTarget {}

/// Clients that follow the integration over a WebSocket.
#[derive(Object, Serialize)]
pub struct WebSocketTargetView {
    /// URL to connect to. It starts with `wss://` if the operator has set `public_url`; otherwise it is a path on this
    /// server.
    url: String,
    /// Whether a stream key is stored, with which a client can follow without a token. `create_integration_key`
    /// generates one.
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
