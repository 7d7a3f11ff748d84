//! Replays, which forward stored uplinks again.

use poem::Result;
use poem_openapi::{Enum, Object, OpenApi, param::Path};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        http::{
            answer::{Begun, Found},
            body::Body,
            caller::Caller,
            mirror::mirror,
            page::Listed,
            paging::Paging,
            span,
            types::{Count, Id, Timestamp},
        },
        tag::Tag,
    },
    hub::Hub,
    id::{IntegrationId, ReplayId},
    store::{
        deliveries::replays::{self as replays, NewReplay, Replay, State},
        integrations,
    },
    text::DeviceId,
};

/// What to forward once more
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewReplay")]
struct NewReplayBody {
    /// Uplinks that the hub received at or after this time
    from: Timestamp,
    /// And before this time
    to: Timestamp,
    /// Those of this device alone
    device_id: Option<DeviceId>,
}

/// How far a replay is
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case", rename = "ReplayState")]
#[serde(rename_all = "snake_case")]
enum StateView {
    /// It goes on
    Running,
    /// All its uplinks are queued
    Done,
    /// A fault inside the hub has ended it
    Failed,
}

/// A replay of stored uplinks into an integration
#[derive(Object, Serialize)]
#[oai(rename = "Replay")]
struct ReplayView {
    /// Its id
    id: Id,
    /// How far it is
    state: StateView,
    /// Uplinks that the hub received at or after this time
    from: Timestamp,
    /// And before this time
    to: Timestamp,
    /// Those of this device alone; null: those of every device that the integration picks
    device_id: Option<String>,
    /// Deliveries that it has queued
    queued: Count,
    /// When it was begun
    created_at: Timestamp,
    /// When it last went on
    updated_at: Timestamp,
    /// When it came to its end; null before
    finished_at: Option<Timestamp>,
}

/// Endpoints of `integrations/{id}/replays`.
pub struct DeliveryReplaysApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Integrations")]
impl DeliveryReplaysApi {
    /// Replay stored uplinks
    ///
    /// Forwards what the hub has stored of a span of time once more, of the devices that the
    /// integration picks now, as new deliveries in the order of arrival. What the drivers made of the
    /// uplinks then is forwarded, with the devices as they are now. It goes on in the background, also
    /// over a restart, and waits while 5,000 deliveries wait.
    #[oai(
        path = "/integrations/:id/replay",
        method = "post",
        operation_id = "create_replay"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
        body: Body<NewReplayBody>,
    ) -> Result<Begun<ReplayView>> {
        let NewReplayBody {
            from,
            to,
            device_id,
        } = body.0;
        span::read(Some(from), Some(to))?;
        let new = NewReplay {
            from: from.0,
            to: to.0,
            device_id: device_id.map(DeviceId::into_string),
        };
        let integration = IntegrationId(**id);
        let scope = caller.scope();
        let replay = self.hub.begin_replay(scope, integration, new).await?;
        Ok(Begun {
            location: format!("/api/v3/integrations/{integration}/replays/{}", replay.id),
            body: replay.into(),
        })
    }

    /// List an integration's replays
    ///
    /// The newest first.
    #[oai(
        path = "/integrations/:id/replays",
        method = "get",
        operation_id = "list_replays"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
        paging: Paging,
    ) -> Result<Listed<ReplayView>> {
        let scope = caller.scope();
        let id = integrations::get(scope, IntegrationId(**id)).await?.id;
        let window = paging.window()?;
        let page = replays::list(scope, id, &window.stretch).await?;
        Ok(window.answer(page, ReplayView::from)?)
    }

    /// Get a replay
    ///
    /// How far it is.
    #[oai(
        path = "/integrations/:id/replays/:replay_id",
        method = "get",
        operation_id = "get_replay"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
        /// The replay's id
        replay_id: Path<Id>,
    ) -> Result<Found<ReplayView>> {
        let (integration, replay) = (IntegrationId(**id), ReplayId(**replay_id));
        let found = replays::get(caller.scope(), integration, replay).await?;
        Ok(Found(found.into()))
    }
}

mirror!(StateView = State: Running, Done, Failed);

impl From<Replay> for ReplayView {
    fn from(replay: Replay) -> Self {
        Self {
            id: Id::saturating(replay.id.0),
            state: replay.state.into(),
            from: Timestamp(replay.new.from),
            to: Timestamp(replay.new.to),
            device_id: replay.new.device_id,
            queued: Count::saturating(replay.queued),
            created_at: Timestamp(replay.created_at),
            updated_at: Timestamp(replay.updated_at),
            finished_at: replay.finished_at.map(Timestamp),
        }
    }
}
