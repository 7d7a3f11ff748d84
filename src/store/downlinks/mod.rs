//! What devices are to be told: one row for each message, from its queueing to its end.
//!
//! Whoever changes downlinks of a device holds the device's row first: so the bound of its queue
//! holds, and no two transactions wait for each other. How the queue is worked off is in
//! [`queue`].

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType, Query},
};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Page, Scope,
    devices::{self, Device},
    entities::{device, downlink},
    members,
};
use crate::{
    clock::Time,
    error::{Error, Result},
    id::{ConnectionId, DeviceKey},
    store::{
        core::{
            audit::subject,
            listing::{self, Order, Place, Stretch},
            signals::Then,
            transaction::DatabaseTransaction,
        },
        live::events,
        networks::downlink_settings::{self, Seen},
        uplink_batch::NewEvent,
    },
};

pub mod queue;

/// The resource's name in paths.
const RESOURCE: &str = "downlinks";

/// Where a downlink stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits in the hub.
    Queued,
    /// The network server has it.
    Sent,
    /// The device has confirmed it.
    Acknowledged,
    /// It was given up, or the network or the device refused it.
    Failed,
    /// It waited too long.
    Expired,
    /// It was taken back, or a newer desired state took its place.
    Cancelled,
}

/// Who asked for a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A client, by queueing it.
    Api,
    /// A client, by changing the desired state.
    DesiredState,
}

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After all others.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// A downlink to queue.
#[derive(Debug, Clone, Serialize)]
pub struct NewDownlink {
    /// Over which network.
    #[serde(rename = "network_connection_id")]
    pub connection: ConnectionId,
    /// The device's address there.
    pub network_device_id: String,
    /// Who asked for it.
    pub origin: Origin,
    /// What to send.
    #[serde(serialize_with = "as_hex")]
    pub payload: Vec<u8>,
    /// The values that the payload was encoded from.
    pub values: Option<Value>,
    /// LoRaWAN port.
    pub f_port: u8,
    /// Whether the device is to confirm it.
    pub confirmed: bool,
    /// What goes first.
    pub priority: Priority,
    /// When it is no longer worth sending.
    pub expires_at: Option<Time>,
    /// Whether the hub sends it by itself; else it waits for the device's next message.
    #[serde(skip)]
    pub is_pushed: bool,
}

/// A downlink.
#[derive(Debug, Clone)]
pub struct Downlink {
    /// Sorts by the time at which it was queued.
    pub id: Uuid,
    /// The device that it is for.
    pub device: DeviceKey,
    /// What was queued.
    pub queued: NewDownlink,
    /// Where it stands.
    pub state: State,
    /// Attempts to hand it to the network server.
    pub attempt: i32,
    /// When the next one is due, or the current one counts as lost.
    pub due_at: Option<Time>,
    /// Whether an attempt is under way.
    pub is_sending: bool,
    /// When the network server took it.
    pub sent_at: Option<Time>,
    /// When the network sent it over the air, where it tells.
    pub transmitted_at: Option<Time>,
    /// The network server's own id of it.
    pub network_reference: Option<String>,
    /// The frame counter that it was sent with.
    pub f_cnt_down: Option<i64>,
    /// HTTP status of the last attempt.
    pub last_status: Option<i32>,
    /// Why it is not further.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: Time,
    /// When its state last changed.
    pub updated_at: Time,
}

/// Which downlinks.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those in this state.
    pub state: Option<State>,
    /// Those that were asked for so.
    pub origin: Option<Origin>,
}

/// Queues a downlink, unless the device has `most` in its queue already. `None`: device, connection or
/// settings are others than those by which it was made.
pub async fn insert(
    scope: &Scope,
    device: &Device,
    new: NewDownlink,
    seen: Seen,
    most: usize,
) -> Result<Option<Downlink>> {
    scope
        .record(async |transaction| {
            let model = devices::lock(scope, &transaction, &device.provisioned.id).await?;
            if !devices::speaks_as_before(&model, device)
                || !are_as_seen(scope, &transaction, &new, seen).await?
            {
                return Ok(None);
            }
            let queued = queue(scope, &transaction, device.key, new, most).await?;
            Ok(Some(queued))
        })
        .await
}

/// Whether the connection that a downlink goes over is as it was seen, and stays so.
pub(super) async fn are_as_seen(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    new: &NewDownlink,
    seen: Seen,
) -> Result<bool> {
    let lock = LockType::Share;
    downlink_settings::is_as_seen(scope, transaction, new.connection, seen, lock).await
}

/// Queues a downlink of a device whose row is held, over a connection that is as it was seen.
pub(super) async fn queue(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    device: DeviceKey,
    new: NewDownlink,
    most: usize,
) -> Result<Downlink> {
    let waiting = scope
        .find::<downlink::Entity>()
        .filter(downlink::Column::DeviceKey.eq(device.0))
        .filter(downlink::Column::State.eq(State::Queued.as_str()))
        .count(transaction)
        .await?;
    if waiting >= most as u64 {
        return Err(Error::Conflict(format!(
            "the device's queue is full: {waiting} downlinks wait, and at most {most} may \
             (setting downlink_queue_max)"
        )));
    }
    let now = scope.now();
    let model = downlink::Model {
        tenant_id: scope.tenant.0,
        id: scope.new_id(),
        device_key: device.0,
        connection_id: new.connection.0,
        network_device_id: new.network_device_id.clone(),
        origin: new.origin.as_str().to_owned(),
        state: State::Queued.as_str().to_owned(),
        payload: new.payload.clone(),
        content: new.values.clone(),
        f_port: i32::from(new.f_port),
        confirmed: new.confirmed,
        priority: new.priority as i32,
        attempt: 0,
        due_at: new.is_pushed.then_some(now),
        is_sending: false,
        expires_at: new.expires_at,
        sent_at: None,
        transmitted_at: None,
        network_reference: None,
        f_cnt_down: None,
        last_status: None,
        last_error: None,
        answered_uplink_id: None,
        created_at: now,
        updated_at: now,
    };
    downlink::Entity::insert(model.clone().into_active_model())
        .exec_without_returning(transaction)
        .await?;
    scope
        .note_created(transaction, subject(RESOURCE, model.id), &new)
        .await?;
    transaction.then(Then::Downlinks);
    let downlink = Downlink::from(model);
    tell(scope, transaction, &downlink, "a downlink was queued").await?;
    Ok(downlink)
}

/// One downlink of a device.
pub async fn get(scope: &Scope, device: DeviceKey, id: Uuid) -> Result<Downlink> {
    let found = scope
        .find::<downlink::Entity>()
        .filter(downlink::Column::DeviceKey.eq(device.0))
        .filter(downlink::Column::Id.eq(id))
        .one(scope.reader())
        .await?;
    found.map(Downlink::from).ok_or_else(|| missing(id))
}

/// The device that a downlink over this connection is for.
pub async fn device(
    scope: &Scope,
    connection: ConnectionId,
    id: Uuid,
) -> Result<Option<DeviceKey>> {
    let found = scope
        .find::<downlink::Entity>()
        .filter(downlink::Column::ConnectionId.eq(connection.0))
        .filter(downlink::Column::Id.eq(id))
        .filter(has_device(scope))
        .select_only()
        .column(downlink::Column::DeviceKey)
        .into_tuple::<i64>()
        .one(scope.reader())
        .await?;
    Ok(found.map(DeviceKey))
}

/// The device of the only downlink over this connection that waits in its network under this id.
pub async fn device_of_reference(
    scope: &Scope,
    connection: ConnectionId,
    reference: &str,
) -> Result<Option<DeviceKey>> {
    let found: Vec<i64> = scope
        .find::<downlink::Entity>()
        .filter(downlink::Column::ConnectionId.eq(connection.0))
        .filter(downlink::Column::State.eq(State::Sent.as_str()))
        .filter(downlink::Column::NetworkReference.eq(reference))
        .filter(has_device(scope))
        .select_only()
        .column(downlink::Column::DeviceKey)
        .limit(2)
        .into_tuple()
        .all(scope.reader())
        .await?;
    Ok(match found[..] {
        [device] => Some(DeviceKey(device)),
        _ => None,
    })
}

/// Whether its device is still there: those of one that was deleted are still to be cleared away.
fn has_device(scope: &Scope) -> Expr {
    let device = Query::select()
        .expr(Expr::value(1))
        .from(device::Entity)
        .and_where(
            Expr::col((device::Entity, device::Column::Id))
                .equals((downlink::Entity, downlink::Column::DeviceKey)),
        )
        .and_where(Expr::col((device::Entity, device::Column::TenantId)).eq(scope.tenant.0))
        .to_owned();
    Expr::exists(device)
}

/// The last downlink of a device that was asked for so.
pub async fn find_last(
    scope: &Scope,
    device: DeviceKey,
    origin: Origin,
) -> Result<Option<Downlink>> {
    let filter = Filter {
        origin: Some(origin),
        ..Filter::default()
    };
    let page = list(scope, device, &filter, true, &Stretch::first(1)).await?;
    Ok(page.items.into_iter().next())
}

/// A stretch of a device's downlinks, in the order in which they were queued.
pub async fn list(
    scope: &Scope,
    device: DeviceKey,
    filter: &Filter,
    newest_first: bool,
    stretch: &Stretch<Uuid>,
) -> Result<Page<Downlink, Place<Uuid>>> {
    let query = scope
        .find::<downlink::Entity>()
        .filter(downlink::Column::DeviceKey.eq(device.0))
        .filter(filter.condition());
    let total = listing::total(scope, &query, stretch).await?;
    let order = Order::by_key(downlink::Column::Id.into_expr(), newest_first);
    let found = order.of(query, stretch)?.all(scope.reader()).await?;
    let page = Page::cut(found, stretch.limit, |model| Place::of_key(model.id));
    Ok(page.of(total).map(Downlink::from))
}

impl Filter {
    fn condition(&self) -> Condition {
        use downlink::Column;
        Condition::all()
            .add_option(self.state.map(|state| Column::State.eq(state.as_str())))
            .add_option(self.origin.map(|origin| Column::Origin.eq(origin.as_str())))
    }
}

/// Takes back a downlink that still waits; answers it as it is then.
pub async fn cancel(scope: &Scope, device_id: &str, id: Uuid) -> Result<Downlink> {
    scope
        .record(async |transaction| {
            let device = devices::lock(scope, &transaction, device_id).await?;
            let found = scope
                .find::<downlink::Entity>()
                .filter(downlink::Column::DeviceKey.eq(device.id))
                .filter(downlink::Column::Id.eq(id))
                .lock_exclusive()
                .one(&*transaction)
                .await?;
            let downlink = Downlink::from(found.ok_or_else(|| missing(id))?);
            downlink.check_waits()?;
            end(
                scope,
                &transaction,
                downlink,
                State::Cancelled,
                "was taken back",
            )
            .await
        })
        .await
}

/// Ends a downlink that waits, and whose row is held.
pub(super) async fn end(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    downlink: Downlink,
    state: State,
    why: &str,
) -> Result<Downlink> {
    let now = scope.now();
    scope
        .update::<downlink::Entity>()
        .set(downlink::ActiveModel {
            state: Set(state.as_str().to_owned()),
            due_at: Set(None),
            is_sending: Set(false),
            updated_at: Set(now),
            ..Default::default()
        })
        .filter(downlink::Column::Id.eq(downlink.id))
        .filter(downlink::Column::State.eq(downlink.state.as_str()))
        .exec(transaction)
        .await?;
    transaction.then(Then::Downlinks);
    let after = Downlink {
        state,
        due_at: None,
        is_sending: false,
        updated_at: now,
        ..downlink.clone()
    };
    let standing = |state: State| json!({"state": state.as_str()});
    scope
        .note_changed(
            transaction,
            subject(RESOURCE, downlink.id),
            &standing(downlink.state),
            &standing(state),
        )
        .await?;
    tell(scope, transaction, &after, &format!("a downlink {why}")).await?;
    Ok(after)
}

/// Writes down that a downlink is in another state.
pub(super) async fn tell(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    downlink: &Downlink,
    message: &str,
) -> Result<()> {
    let event = downlink.event(message);
    let (device, connection) = (Some(downlink.device), Some(downlink.queued.connection));
    Ok(events::insert(scope, transaction, device, connection, event).await?)
}

impl Downlink {
    /// What happened to it, as it is told of its device.
    pub fn event(&self, message: &str) -> NewEvent {
        NewEvent {
            kind: self.state.event_kind(),
            message: message.to_owned(),
            details: members(json!({
                "downlink_id": self.id,
                "origin": self.queued.origin.as_str(),
                "f_port": self.queued.f_port,
                "f_cnt_down": self.f_cnt_down,
                "error": self.last_error,
            })),
        }
    }

    fn check_waits(&self) -> Result<()> {
        match self.state {
            State::Queued if self.is_sending => Err(Error::Conflict(
                "the downlink is being sent at this moment".to_owned(),
            )),
            State::Queued => Ok(()),
            other => Err(Error::Conflict(format!(
                "only a queued downlink can be taken back, and this one is {}",
                other.as_str()
            ))),
        }
    }
}

impl State {
    /// As it is written in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Sent => "sent",
            State::Acknowledged => "acknowledged",
            State::Failed => "failed",
            State::Expired => "expired",
            State::Cancelled => "cancelled",
        }
    }

    /// The kind of the event that tells of it.
    fn event_kind(self) -> &'static str {
        match self {
            State::Queued => "downlink_queued",
            State::Sent => "downlink_sent",
            State::Acknowledged => "downlink_acknowledged",
            State::Failed => "downlink_failed",
            State::Expired => "downlink_expired",
            State::Cancelled => "downlink_cancelled",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "sent" => State::Sent,
            "acknowledged" => State::Acknowledged,
            "failed" => State::Failed,
            "expired" => State::Expired,
            "cancelled" => State::Cancelled,
            _ => State::Queued,
        }
    }
}

impl Priority {
    /// As it is written in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
        }
    }
}

impl Origin {
    /// As it is written in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Api => "api",
            Origin::DesiredState => "desired_state",
        }
    }
}

fn as_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

fn missing(id: Uuid) -> Error {
    Error::missing("downlink", id)
}

impl From<downlink::Model> for Downlink {
    fn from(model: downlink::Model) -> Self {
        let downlink::Model {
            tenant_id: _,
            id,
            device_key,
            connection_id,
            network_device_id,
            origin,
            state,
            payload,
            content,
            f_port,
            confirmed,
            priority,
            attempt,
            due_at,
            is_sending,
            expires_at,
            sent_at,
            transmitted_at,
            network_reference,
            f_cnt_down,
            last_status,
            last_error,
            answered_uplink_id: _,
            created_at,
            updated_at,
        } = model;
        Self {
            id,
            device: DeviceKey(device_key),
            queued: NewDownlink {
                connection: ConnectionId(connection_id),
                network_device_id,
                origin: match &*origin {
                    "desired_state" => Origin::DesiredState,
                    _ => Origin::Api,
                },
                payload,
                values: content,
                f_port: u8::try_from(f_port).unwrap_or_default(),
                confirmed,
                priority: match priority {
                    0 => Priority::Low,
                    2 => Priority::High,
                    _ => Priority::Normal,
                },
                expires_at,
                is_pushed: due_at.is_some(),
            },
            state: State::parse(&state),
            attempt,
            due_at,
            is_sending,
            sent_at,
            transmitted_at,
            network_reference,
            f_cnt_down,
            last_status,
            last_error,
            created_at,
            updated_at,
        }
    }
}
