//! Messages to devices: one row for each downlink, from queuing to its end.
//!
//! Changes of a device's downlinks lock the device's row first, which enforces the limit of its queue and prevents
//! deadlocks. [`queue`] processes the queue.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType, Query},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    error::{Error, Reason, Result},
    id::{ConnectionId, DeviceKey},
    store::{
        core::{
            audit::subject,
            listing::{self, Order, Place, Stretch},
            page::Page,
            scope::Scope,
            signals::Then,
            transaction::DatabaseTransaction,
        },
        devices::{self, record::Device},
        downlinks::telling::{RESOURCE, tell},
        entities::{device, downlink},
        networks::seen::{self, Seen},
    },
};

pub mod queue;
pub(in crate::store) mod record;
pub(in crate::store) mod telling;

pub use record::{Downlink, NewDownlink, Origin, Priority, State};

/// Filter of downlinks; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// State of the downlinks.
    pub state: Option<State>,
    /// Origin of the downlinks.
    pub origin: Option<Origin>,
}

/// Queues a downlink; fails if the device's queue holds `most` already. Returns `None` if the device, the connection
/// or its settings have changed since the downlink was prepared.
pub async fn insert(
    scope: &Scope,
    device: &Device,
    new: NewDownlink,
    seen: Seen,
    most: usize,
) -> Result<Option<Downlink>> {
    scope
        .record(async |transaction| {
            let model = devices::rows::lock(scope, &transaction, &device.provisioned.id).await?;
            if !devices::rows::speaks_as_before(&model, device)
                || !are_as_seen(scope, &transaction, &new, seen).await?
            {
                return Ok(None);
            }
            let queued = queue(scope, &transaction, device.key, new, most).await?;
            Ok(Some(queued))
        })
        .await
}

/// Locks the downlink's connection; returns true if it and its settings still have these revisions.
pub(super) async fn are_as_seen(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    new: &NewDownlink,
    seen: Seen,
) -> Result<bool> {
    let lock = LockType::Share;
    seen::is_as_seen(scope, transaction, new.connection, seen, lock).await
}

/// Queues a downlink of a locked device over a connection that was checked by [`are_as_seen`].
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
        return Err(Error::rejected(
            Reason::LimitReached,
            format!(
                "the device's queue is full: {waiting} downlinks wait, and at most {most} may \
             (setting downlink_queue_max)"
            ),
        ));
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
    let downlink = Downlink::try_from(model)?;
    tell(scope, transaction, &downlink, "a downlink was queued").await?;
    Ok(downlink)
}

/// Returns a downlink of a device.
pub async fn get(scope: &Scope, device: DeviceKey, id: Uuid) -> Result<Downlink> {
    let found = scope
        .find::<downlink::Entity>()
        .filter(downlink::Column::DeviceKey.eq(device.0))
        .filter(downlink::Column::Id.eq(id))
        .one(scope.reader())
        .await?;
    found.ok_or_else(|| missing(id))?.try_into()
}

/// Returns the device of a downlink over this connection.
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

/// Returns the device of the sent downlink with this network reference; `None` unless exactly one matches.
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

/// Returns the condition that the downlink's device still exists; downlinks of removed devices are deleted later.
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

/// Returns the last downlink of a device with this origin.
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

/// Returns a page of a device's downlinks, in the order of queuing.
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
    let order = Order::by_key(downlink::Column::Id.into_expr(), newest_first);
    let page = listing::section(scope, query, &order, stretch, |model| {
        Place::of_key(model.id)
    })
    .await?;
    page.try_map(Downlink::try_from)
}

impl Filter {
    fn condition(&self) -> Condition {
        use downlink::Column;
        Condition::all()
            .add_option(self.state.map(|state| Column::State.eq(state.as_str())))
            .add_option(self.origin.map(|origin| Column::Origin.eq(origin.as_str())))
    }
}

/// Cancels a queued downlink and returns it.
pub async fn cancel(scope: &Scope, device_id: &str, id: Uuid) -> Result<Downlink> {
    scope
        .record(async |transaction| {
            let device = devices::rows::lock(scope, &transaction, device_id).await?;
            let found = scope
                .find::<downlink::Entity>()
                .filter(downlink::Column::DeviceKey.eq(device.id))
                .filter(downlink::Column::Id.eq(id))
                .lock_exclusive()
                .one(&*transaction)
                .await?;
            let downlink = Downlink::try_from(found.ok_or_else(|| missing(id))?)?;
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

/// Ends a queued downlink whose row is locked.
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

fn missing(id: Uuid) -> Error {
    Error::missing("downlink", id)
}
