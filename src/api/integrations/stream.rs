//! WebSocket stream of an integration.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use poem::{
    IntoResponse, Request, Response, Result,
    http::header,
    web::websocket::{CloseCode, Message, WebSocket, WebSocketConfig, WebSocketStream},
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Path,
    registry::{MetaResponses, Registry},
};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    api::{
        http::{
            answer::Found,
            stream_key::{Follower, StreamKey},
            types::{Count, Id},
        },
        tag::Tag,
    },
    error::{Error, Reason},
    hub::{
        Hub,
        integrations::stream::{self, Following, MessageBatch},
    },
    id::IntegrationId,
};

/// Longest time for a follower to acknowledge the messages that were sent.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);

/// Largest message that a follower may send, in bytes; all of them are ignored.
const MESSAGE_MAX_BYTES: usize = 4 * 1024;
/// Reason that is sent when a follower is disconnected.
const RULE: &str =
    "a follower must answer pings within 30 seconds and must not send messages of more than 4 KiB";
/// Size of the read buffer, in bytes.
const READ_BYTES: usize = 4 * 1024;
/// Number of bytes that are buffered before they are sent. A larger message is buffered in addition, and no
/// other one until it has been sent, so the buffer needs no further limit.
const WRITE_BYTES: usize = 16 * 1024;

/// State of an integration's stream.
#[derive(Object, Serialize)]
struct IntegrationStream {
    /// Number of messages that wait for a follower.
    waiting: Count,
}

/// Response: the state of the stream, or the switch to a WebSocket.
enum Answer {
    Stream(IntegrationStream),
    Upgraded(Response),
}

/// Endpoint of `integrations/{id}/stream`.
pub struct IntegrationStreamApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Integrations")]
impl IntegrationStreamApi {
    /// Follow an integration over WebSocket
    ///
    /// Opens a WebSocket (RFC 6455, over HTTP/1.1) and sends the messages of an integration of the type `websocket`.
    /// The hub answers the handshake with 101, which the WebSocket protocol requires; no other operation uses this
    /// status. Without a handshake, the operation returns the number of messages that wait.
    ///
    /// Each text message on the WebSocket is one message in the integration's `payload` format: first the waiting
    /// messages, oldest first, then new ones. Several clients can follow; each of them receives every new message.
    ///
    /// A message counts as delivered when a follower answers the ping that the hub sends after it, which every
    /// WebSocket library does automatically. Messages without an answer are sent again to the next follower. The hub
    /// closes the connection if the answer does not arrive within 30 seconds, if the follower sends a message of more
    /// than 4 KiB, and when the integration is changed, paused or disabled; it ignores shorter messages.
    ///
    /// Authenticate with a token, or with the integration's stream key (from `create_integration_key`) in the query
    /// parameter `stream_key`. Fails with 400 if the integration is of another type, and with 503 if too many streams
    /// are open (`live_streams_max`, `live_streams_tenant_max` or `live_streams_user_max`, settings of the hub).
    #[oai(
        path = "/integrations/:id/stream",
        method = "get",
        operation_id = "follow_integration"
    )]
    async fn follow(
        &self,
        follower: Follower,
        /// Unique identifier of the integration.
        id: Path<Id>,
        request: &Request,
        socket: Result<WebSocket>,
    ) -> Result<Answer> {
        let id = IntegrationId(**id);
        let follower = match follower {
            Follower::Caller(caller) => stream::Follower::Token(caller.0.token),
            Follower::Key(StreamKey(key)) => stream::Follower::Key(key.key),
        };
        if request.header(header::UPGRADE).is_none() {
            let waiting = self.hub.waiting_for_followers(&follower, id).await?;
            return Ok(Answer::Stream(IntegrationStream {
                waiting: Count::saturating(waiting),
            }));
        }
        let following = self.hub.follow_integration(follower, id).await?;
        let socket = socket.map_err(|_| {
            Error::rejected(
                Reason::Malformed,
                "the request is not a WebSocket handshake of version 13 over HTTP/1.1",
            )
        })?;
        let socket = socket.config(websocket_config());
        let upgraded = socket.on_upgrade(async move |socket| run(socket, following).await);
        Ok(Answer::Upgraded(upgraded.into_response()))
    }
}

fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_message_size(Some(MESSAGE_MAX_BYTES))
        .max_frame_size(Some(MESSAGE_MAX_BYTES))
}

/// Sends messages until the follower disconnects, loses its permission, or the hub stops.
async fn run(mut socket: WebSocketStream, mut following: Following) {
    let cut_off = || Some((CloseCode::Policy, RULE.to_owned()));
    let goodbye = loop {
        let batch = tokio::select! {
            batch = following.next() => batch,
            said = socket.next() => match said {
                Some(Ok(Message::Close(_))) | None => return,
                Some(Err(_)) => break cut_off(),
                Some(Ok(_)) => continue,
            },
        };
        let batch = match batch {
            Some(Ok(batch)) => batch,
            Some(Err(error)) => {
                tracing::warn!(%error, "the stream of an integration ends early");
                break None;
            }
            None => break None,
        };
        if tell(&mut socket, &batch).await.is_none() {
            break cut_off();
        }
        if let Err(error) = following.settle(batch).await {
            tracing::warn!(%error, "what was received could not be settled, and comes again");
            break None;
        }
    };
    // Fails at once if the connection is broken.
    let _ = socket.send(Message::Close(goodbye)).await;
    let _ = socket.close().await;
}

/// Sends messages and a ping, whose pong acknowledges all messages before it. Returns `None` if the pong does
/// not come in time or the connection ends.
async fn tell(socket: &mut WebSocketStream, batch: &MessageBatch) -> Option<()> {
    for text in batch.texts() {
        socket.feed(Message::text(text)).await.ok()?;
    }
    let mark = batch.mark();
    socket.send(Message::ping(mark.clone())).await.ok()?;
    let answered = async {
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Pong(answer) if answer == mark => return Some(()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
        None
    };
    timeout(ACKNOWLEDGED_WITHIN, answered).await.ok()?
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Stream(stream) => Found(stream).into_response(),
            Self::Upgraded(response) => response,
        }
    }
}

impl ApiResponse for Answer {
    fn meta() -> MetaResponses {
        Found::<IntegrationStream>::meta()
    }

    fn register(registry: &mut Registry) {
        Found::<IntegrationStream>::register(registry);
    }
}
