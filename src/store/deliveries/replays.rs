//! Replays: stored uplinks are forwarded again, chunk by chunk.
//!
//! One transaction queues the deliveries of a chunk and moves the replay's position: whatever stops the hub, a chunk
//! is queued once or not yet.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, QueryFilter, sea_query::Expr};
use serde_json::json;
use uuid::Uuid;

use crate::{
    clock::Time,
    error::{Error, Result},
    id::{IntegrationId, ReplayId, TenantId},
    store::{
        core::{
            audit::subject,
            bulk,
            handle::Store,
            jobs::{self, State, owned_jobs},
            listing::{Place, Span, Stretch},
            page::Page,
            scope::Scope,
            words,
        },
        deliveries::State as DeliveryState,
        devices::walk::Walk,
        entities::{delivery, delivery_replay, integration},
        integrations::policy::EventType,
    },
};

owned_jobs!(delivery_replay of integration by IntegrationId: "replay", "replays go on");

/// Replay to create.
#[derive(Debug, Clone)]
pub struct NewReplay {
    /// Start of the period in which the hub received the uplinks, inclusive.
    pub from: Time,
    /// End of the period, exclusive.
    pub to: Time,
    /// Identifier of the only device to replay; `None` for all.
    pub device_id: Option<String>,
}

/// Replay of stored uplinks into an integration.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Identifier of the replay.
    pub id: ReplayId,
    /// Integration that the uplinks are sent to.
    pub integration: IntegrationId,
    /// Selection of uplinks.
    pub new: NewReplay,
    /// Progress of the replay.
    pub state: State,
    /// Last uplink processed; `None` at the start.
    pub position: Option<Uuid>,
    /// Number of deliveries queued.
    pub queued: i64,
    /// Time of creation.
    pub created_at: Time,
    /// Time of the last progress.
    pub updated_at: Time,
    /// Time at which the replay ended; `None` until then.
    pub finished_at: Option<Time>,
}

impl Replay {
    /// Returns the walk over the uplinks that are left.
    pub fn walk(&self) -> Walk {
        Walk {
            span: Span {
                from: Some(self.new.from),
                to: Some(self.new.to),
            },
            device_id: self.new.device_id.clone(),
            position: self.position,
        }
    }
}

/// Delivery to queue.
pub struct Rendered {
    /// Identifier of the device.
    pub device_id: String,
    /// Identifier of the uplink.
    pub uplink_id: Uuid,
    /// Type of the event.
    pub event: EventType,
    /// Rendered message.
    pub body: String,
}

impl Store {
    /// Returns the unfinished replays of all tenants.
    pub async fn running_replays(&self) -> Result<Vec<(TenantId, ReplayId)>> {
        jobs::unfinished::<delivery_replay::Entity, _>(self, ReplayId).await
    }
}

/// Creates a replay.
pub async fn insert(scope: &Scope, integration: IntegrationId, new: NewReplay) -> Result<Replay> {
    let now = scope.now();
    scope
        .record(async |transaction| {
            let missing = || Error::missing("integration", integration);
            let room = jobs::make_room::<delivery_replay::Entity>(
                scope,
                &transaction,
                integration.0,
                missing,
            );
            room.await?;
            let model = delivery_replay::ActiveModel {
                tenant_id: Set(scope.tenant.0),
                created_at: Set(now),
                updated_at: Set(now),
                integration_id: Set(integration.0),
                state: Set(State::Running.as_str().to_owned()),
                span_from: Set(new.from),
                span_to: Set(new.to),
                device_id: Set(new.device_id),
                position: Set(None),
                queued: Set(0),
                finished_at: Set(None),
                ..Default::default()
            }
            .insert(&*transaction)
            .await?;
            let noted = json!({"replay": model.id, "from": new.from, "to": new.to});
            scope
                .note_changed(
                    &transaction,
                    subject("integrations", integration),
                    &json!({}),
                    &noted,
                )
                .await?;
            model.try_into()
        })
        .await
}

/// Returns a replay of any integration.
pub async fn find(scope: &Scope, id: ReplayId) -> Result<Option<Replay>> {
    let found = jobs::find::<delivery_replay::Entity>(scope, id.0).await?;
    found.map(Replay::try_from).transpose()
}

/// Returns a replay of an integration.
pub async fn get(scope: &Scope, integration: IntegrationId, id: ReplayId) -> Result<Replay> {
    let found = jobs::get::<delivery_replay::Entity>(scope, integration.0, id.0).await?;
    found.try_into()
}

/// Returns a page of an integration's replays, newest first.
pub async fn list(
    scope: &Scope,
    integration: IntegrationId,
    stretch: &Stretch,
) -> Result<Page<Replay, Place>> {
    let page = jobs::list::<delivery_replay::Entity>(scope, integration.0, stretch).await?;
    page.try_map(Replay::try_from)
}

/// Queues a chunk's deliveries and advances the replay; without `last`, the replay is finished. Does nothing if
/// another hub has queued the chunk.
pub async fn queue(
    scope: &Scope,
    replay: &Replay,
    ordered: bool,
    rendered: Vec<Rendered>,
    last: Option<Uuid>,
) -> Result<()> {
    use delivery_replay::Column;
    let (ids, now) = (scope.store.ids(), scope.now());
    let queued = i64::try_from(rendered.len()).unwrap_or(i64::MAX);
    let rows: Vec<_> = rendered
        .into_iter()
        .map(|rendered| delivery::ActiveModel {
            tenant_id: Set(scope.tenant.0),
            id: Set(ids.next()),
            integration_id: Set(replay.integration.0),
            device_id: Set(rendered.device_id),
            subject_id: Set(rendered.uplink_id),
            state: Set(DeliveryState::Pending.as_str().to_owned()),
            attempt: Set(0),
            due_at: Set(Some(now)),
            body: Set(rendered.body),
            last_status: Set(None),
            last_error: Set(None),
            created_at: Set(now),
            updated_at: Set(now),
            kind: Set(rendered.event.as_str().to_owned()),
            ordered: Set(ordered),
            round_start: Set(0),
            last_answer: Set(None),
        })
        .collect();
    let (state, finished_at) = State::after(last.is_none(), now);
    scope
        .record(async |transaction| {
            let moved = scope
                .update::<delivery_replay::Entity>()
                .col_expr(Column::Position, Expr::value(last.or(replay.position)))
                .col_expr(Column::Queued, Expr::value(replay.queued + queued))
                .col_expr(Column::State, Expr::value(state.as_str()))
                .col_expr(Column::FinishedAt, Expr::value(finished_at))
                .col_expr(Column::UpdatedAt, Expr::value(now))
                .filter(Column::Id.eq(replay.id.0))
                .filter(Column::State.eq(State::Running.as_str()))
                .filter(match replay.position {
                    Some(position) => Column::Position.eq(position),
                    None => Column::Position.is_null(),
                })
                .exec(&*transaction)
                .await?;
            if moved.rows_affected > 0 {
                bulk::insert(&transaction, rows, None).await?;
            }
            Ok(())
        })
        .await
}

/// Ends a replay as failed after an internal error.
pub async fn give_up(scope: &Scope, id: ReplayId) -> Result<()> {
    jobs::give_up::<delivery_replay::Entity>(scope, id.0).await
}

impl TryFrom<delivery_replay::Model> for Replay {
    type Error = Error;

    fn try_from(model: delivery_replay::Model) -> Result<Self> {
        Ok(Self {
            id: ReplayId(model.id),
            integration: IntegrationId(model.integration_id),
            new: NewReplay {
                from: model.span_from,
                to: model.span_to,
                device_id: model.device_id,
            },
            state: words::of_column(delivery_replay::Column::State, &model.state)?,
            position: model.position,
            queued: model.queued,
            created_at: model.created_at,
            updated_at: model.updated_at,
            finished_at: model.finished_at,
        })
    }
}
