//! Rows of waiting downlinks, and the order in which they are locked.

use sea_orm::{
    ColumnTrait, Condition, DbErr, QueryFilter, QueryOrder, QuerySelect, sea_query::LockType,
};
use uuid::Uuid;

use crate::{
    error::Result,
    id::ConnectionId,
    store::{
        core::{scope::Scope, transaction::DatabaseTransaction},
        devices,
        downlinks::record::State,
        entities::downlink,
    },
};

/// Condition that no downlink of the same device goes first: neither one being sent, whatever its priority, nor a
/// waiting one with a higher priority or a greater age.
pub(in crate::store) const IS_FIRST: &str = "NOT EXISTS (SELECT 1 FROM downlinks AS other \
    WHERE other.device_key = downlinks.device_key \
    AND other.connection_id = downlinks.connection_id AND other.state = 'queued' \
    AND ((other.is_sending AND NOT downlinks.is_sending) \
    OR (other.is_sending = downlinks.is_sending AND (other.priority > downlinks.priority \
    OR (other.priority = downlinks.priority AND other.id < downlinks.id)))))";

pub(in crate::store) fn waiting(connection: ConnectionId) -> Condition {
    Condition::all()
        .add(downlink::Column::ConnectionId.eq(connection.0))
        .add(downlink::Column::State.eq(State::Queued.as_str()))
}

/// Locks downlinks in the order in which network reports change them, which prevents deadlocks.
pub(in crate::store) async fn hold_in_order(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    which: Condition,
) -> Result<(), DbErr> {
    use downlink::Column;
    scope
        .find::<downlink::Entity>()
        .filter(which)
        .order_by_asc(Column::DeviceKey)
        .order_by_asc(Column::Id)
        .lock(LockType::NoKeyUpdate)
        .select_only()
        .column(Column::Id)
        .into_tuple::<Uuid>()
        .all(transaction)
        .await?;
    Ok(())
}

/// Locks the device; required before its downlinks are changed.
pub(in crate::store) async fn hold_device(
    transaction: &DatabaseTransaction,
    device: i64,
) -> Result<(), DbErr> {
    devices::rows::hold(transaction, vec![device]).await
}
