//! Live stream of recorded uplinks and events, as server-sent events.

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use poem::{
    IntoResponse, Request, Response, Result,
    http::HeaderValue,
    web::sse::{Event, SSE},
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Query},
    registry::{MetaResponses, Registry},
    types::{ParseFromParameter, Type},
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    api::{
        devices::history::UplinkView,
        http::{
            answer::{Found, success},
            caller::{self, Caller},
            stream_key::Follower,
            types::{Int, Timestamp},
        },
        live::events::{EventKind, EventView, KINDS_PATTERN, KINDS_RULE},
        tag::Tag,
    },
    hub::{Hub, access::permission, selectors::parse_selector},
    live::{Follow, Start},
    metrics,
    store::live::{Interest, LiveContent, LiveRecord, UPLINK},
    text::{DeviceId, Kind, SelectorText, Text},
};

/// Interval of keep-alive comments, for proxies that close idle connections.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Duration of a live stream, in seconds: up to a day.
type Listening = Int<0, 86_400>;

/// Name of the operation in the table of permissions.
const FOLLOW: &str = "follow_events";

/// Kinds of events, separated by commas.
type Kinds = Text<KindsKind>;

/// Text rule of [`Kinds`].
#[derive(Clone, Debug, PartialEq)]
struct KindsKind;

impl Kind for KindsKind {
    const MIN: usize = 1;
    const MAX: usize = 1000;
    const RULE: &'static str = KINDS_RULE;
    const PATTERN: &'static str = KINDS_PATTERN;
    const EXAMPLE: &'static str = "uplink,driver_failed";

    fn admits(text: &str) -> bool {
        text.split(',')
            .all(|kind| kind == UPLINK || EventKind::parse_from_parameter(kind).is_ok())
    }
}

/// Uplink or event in the live stream: exactly one of `uplink` and `event` is not null.
#[derive(Object, Serialize)]
struct LiveEvent {
    /// Identifier of the device. Null if the event does not belong to a device in the hub.
    device_id: Option<String>,
    /// Uplink. Null for an event.
    uplink: Option<UplinkView>,
    /// Event. Null for an uplink.
    event: Option<EventView>,
}

/// Key that opens live streams.
#[derive(Object, Serialize)]
#[oai(rename = "StreamKey")]
struct StreamKeyView {
    /// Value of the query parameter `stream_key` of `GET /api/v3/events`.
    key: String,
    /// Time from which the key opens no more streams. Streams that are open go on.
    expires_at: Timestamp,
}

/// Response 200 with a stream that stays open.
struct Streamed(SSE);

/// Endpoints of `events`.
pub struct LiveApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Events")]
impl LiveApi {
    /// Stream events
    ///
    /// Sends uplinks and events as server-sent events as soon as they are stored. Filters are combined with AND.
    /// `event` is `uplink` or the kind of the event, `id` its identifier, and `data` a `LiveEvent` in JSON.
    ///
    /// To continue after an interruption, send the last id as `Last-Event-ID`, as browsers do: nothing is lost, but the
    /// events of the last seconds may be sent again with the same ids. The stream ends after `for_s`, when the hub
    /// shuts down, or when the token is no longer valid.
    ///
    /// The `EventSource` of a browser cannot send a token: give it a key from `create_stream_key` as the query parameter
    /// `stream_key`. It reconnects by itself while the key is valid, and fails with 401 afterwards.
    ///
    /// Fails with 400 if the selector or a kind is invalid, and with 503 if too many streams of the hub, the tenant, or
    /// the user or API key are open (settings `live_streams_max`, `live_streams_tenant_max` and
    /// `live_streams_user_max`).
    #[oai(path = "/events", method = "get", operation_id = "follow_events")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter")]
    async fn follow(
        &self,
        _follower: Follower,
        request: &Request,
        /// Label selector that the devices must match, as in `GET /api/v3/devices`. Empty: all devices. Absent: all
        /// devices, and events without a device.
        selector: Query<Option<SelectorText>>,
        /// Identifier of the device whose uplinks and events are sent. Absent: all devices.
        device_id: Query<Option<DeviceId>>,
        /// Kinds to send. Absent: all kinds.
        kinds: Query<Option<Kinds>>,
        /// Identifier after which the stream starts, if there is no `Last-Event-ID`. Without both, the stream starts
        /// with what is stored from now on.
        after: Query<Option<Uuid>>,
        /// Duration of the stream in seconds. 0: sends what is already stored after `Last-Event-ID` or `after`, and
        /// ends. Limited by the setting `live_stream_s`, one day by default, which also applies if the parameter is
        /// absent.
        for_s: Query<Option<Listening>>,
        /// Identifier of the last event that the client received. Takes precedence over `after`.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<Uuid>>,
    ) -> Result<Streamed> {
        let admitted = caller::of(request)?;
        let caller = &admitted.caller;
        let interest = Interest {
            selector: selector.0.map(|text| parse_selector(&text)).transpose()?,
            device: device_id.0.map(DeviceId::into_string),
            kinds: kinds
                .0
                .map(|kinds| kinds.split(',').map(ToOwned::to_owned).collect()),
        };
        let start = last_event_id
            .0
            .or(after.0)
            .map_or(Start::Now, Start::Behind);
        let longest = self.hub.config.live_stream_s;
        let seconds = for_s
            .0
            .map_or(longest, |wish| wish.unsigned_abs().min(longest));
        // A stream key is needed only to open the stream, so that a valid session keeps it open.
        let (hub, credential) = (self.hub.clone(), admitted.credential);
        let may_listen = move || {
            let hub = hub.clone();
            async move {
                let caller = hub.caller_with(credential).await;
                caller.is_ok_and(|caller| permission::check(&caller, FOLLOW).is_ok())
            }
        };
        let follow = Follow::begin(
            &self.hub.store,
            caller.scope.clone(),
            interest,
            start,
            Duration::from_secs(seconds),
            self.hub.live.enter(
                caller.scope.tenant(),
                caller.listener(),
                metrics::Stream::Events,
            )?,
            may_listen,
        )
        .await?;
        Ok(Streamed(
            SSE::new(told(follow).map(event)).keep_alive(KEEP_ALIVE),
        ))
    }

    /// Create a stream key
    ///
    /// Returns a key that opens live streams for 10 minutes, for clients that cannot send a token, such as a
    /// browser's `EventSource`. It has the permissions of the token with which it was made, opens nothing
    /// but `GET /api/v3/events`, and ends with the session or the API key. A stream that is open stays open
    /// as long as the session or the API key is valid.
    #[oai(
        path = "/events/stream-key",
        method = "post",
        operation_id = "create_stream_key"
    )]
    async fn create_stream_key(&self, caller: Caller) -> Result<Found<StreamKeyView>> {
        let Caller(caller) = caller;
        let made = self
            .hub
            .create_stream_key(&caller.caller, caller.credential)
            .await?;
        Ok(Found(StreamKeyView {
            key: made.key,
            expires_at: Timestamp(made.expires_at),
        }))
    }
}

/// Yields the happenings one by one. Ends the stream after a failure, so that the client reconnects.
fn told<A, F>(follow: Follow<A>) -> impl Stream<Item = LiveRecord> + Send
where
    A: Fn() -> F + Send + Sync,
    F: Future<Output = bool> + Send,
{
    stream::unfold(follow, async |mut follow| match follow.next().await? {
        Ok(happenings) => Some((stream::iter(happenings), follow)),
        Err(error) => {
            tracing::warn!(%error, "a live stream ends early");
            None
        }
    })
    .flatten()
}

fn event(happening: LiveRecord) -> Event {
    let (id, kind) = (happening.id(), happening.kind().to_owned());
    let (uplink, event) = match happening.what {
        LiveContent::Uplink(uplink) => (Some((*uplink).into()), None),
        LiveContent::Event(event) => (None, Some(event.into())),
    };
    let told = LiveEvent {
        device_id: happening.device_id,
        uplink,
        event,
    };
    let data = serde_json::to_string(&told).unwrap_or_default();
    Event::message(data).event_type(kind).id(id.to_string())
}

impl IntoResponse for Streamed {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        // Keeps proxies such as nginx from buffering the stream.
        response
            .headers_mut()
            .insert("X-Accel-Buffering", HeaderValue::from_static("no"));
        response
    }
}

impl ApiResponse for Streamed {
    fn meta() -> MetaResponses {
        // `document::responses` declares the stream of such events as text.
        let schema = LiveEvent::schema_ref();
        let description = "The request succeeded. The body is the stream, which stays open.";
        success(200, description, "text/event-stream", schema, vec![])
    }

    fn register(registry: &mut Registry) {
        LiveEvent::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_of_kinds_agrees_with_the_check() {
        crate::text::agreement::check::<KindsKind>();
    }
}
