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
        core::jobs::State,
        deliveries::replays::{self as replays, NewReplay, Replay},
        integrations,
    },
    text::DeviceId,
};

/// Replay to create.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewReplay")]
struct NewReplayBody {
    /// Start of the period: only uplinks that the hub received at or after this time.
    from: Timestamp,
    /// End of the period: only uplinks that the hub received before this time. Must not be before `from`.
    to: Timestamp,
    /// Only uplinks of this device. If omitted or null, replays all devices that the integration's selector matches.
    device_id: Option<DeviceId>,
}

/// State of a replay.
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case", rename = "ReplayState")]
#[serde(rename_all = "snake_case")]
enum StateView {
    /// The hub is queueing uplinks, or waits for the backlog to shrink.
    Running,
    /// All uplinks of the period are queued.
    Done,
    /// An internal error has ended the replay.
    Failed,
}

/// A replay, which forwards stored uplinks to an integration again.
#[derive(Object, Serialize)]
#[oai(rename = "Replay")]
struct ReplayView {
    /// Unique identifier of the replay.
    id: Id,
    /// State of the replay.
    state: StateView,
    /// Start of the period in which the hub received the uplinks, inclusive.
    from: Timestamp,
    /// End of the period, exclusive.
    to: Timestamp,
    /// Only device that is replayed; null for all devices that the integration's selector matches.
    device_id: Option<String>,
    /// Number of deliveries queued so far.
    queued: Count,
    /// Time at which the replay was created.
    created_at: Timestamp,
    /// Time of the last progress.
    updated_at: Timestamp,
    /// Time at which the replay ended; null while it is running.
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
    /// Starts a replay, which queues the stored uplinks of a period as new deliveries, in the order of arrival. It
    /// includes the devices that the integration's selector matches now. The messages contain the data as they are
    /// stored with the uplinks, without decoding them again, and the devices as they are now.
    ///
    /// The replay runs in the background and survives restarts of the hub. It pauses while 5,000 or more deliveries of
    /// the integration wait. An integration can have 5 running replays.
    ///
    /// Fails with 400 if `to` is before `from`, if the integration's `events` contain neither `data` nor `raw`, or if
    /// 5 replays are running; fails with 404 if the device does not exist.
    #[oai(
        path = "/integrations/:id/replay",
        method = "post",
        operation_id = "create_replay"
    )]
    async fn create(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
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

    /// List replays
    ///
    /// Returns the integration's replays, newest first. Replays that have ended are removed after `job_keep_days` (30
    /// days).
    #[oai(
        path = "/integrations/:id/replays",
        method = "get",
        operation_id = "list_replays"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
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
    /// Returns the replay with its state and the number of deliveries queued so far.
    #[oai(
        path = "/integrations/:id/replays/:replay_id",
        method = "get",
        operation_id = "get_replay"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
        id: Path<Id>,
        /// Unique identifier of the replay.
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
