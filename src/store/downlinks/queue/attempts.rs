//! Attempts to send downlinks, and their end without an attempt.

use sea_orm::{
    ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LockType},
};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::Result,
    id::{ConnectionId, DeviceKey},
    store::{
        core::scope::Scope,
        downlinks::{
            queue::rows::{IS_FIRST, hold_device, waiting},
            record::{Downlink, State},
            telling,
        },
        entities::downlink,
    },
};

/// Result of an attempt to send a downlink.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// HTTP status of the response, if any.
    pub status: Option<u16>,
    /// Outcome of the attempt.
    pub outcome: Outcome,
}

/// Outcome of an attempt.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The network server accepted it.
    Taken {
        /// Identifier that the network server assigned.
        reference: Option<String>,
    },
    /// It failed, and is retried at this time.
    Later(Time, String),
    /// It failed permanently.
    GivenUp(String),
}

/// Expires downlinks that have waited too long, unless they are being sent. Returns their number.
pub async fn expire(scope: &Scope, connection: ConnectionId) -> Result<u64> {
    use downlink::Column;
    let now = scope.now();
    let found = scope
        .find::<downlink::Entity>()
        .filter(waiting(connection))
        .filter(Column::ExpiresAt.lte(now))
        .filter(
            Condition::any()
                .add(Column::IsSending.eq(false))
                .add(Column::DueAt.lte(now)),
        )
        .all(scope.reader())
        .await?;
    let mut expired = 0;
    for old in found {
        expired += scope
            .record(async |transaction| {
                hold_device(&transaction, old.device_key).await?;
                let changed = scope
                    .update::<downlink::Entity>()
                    .col_expr(Column::State, Expr::value(State::Expired.as_str()))
                    .col_expr(Column::DueAt, Expr::value(Option::<Time>::None))
                    .col_expr(Column::IsSending, Expr::value(false))
                    .col_expr(Column::UpdatedAt, Expr::value(now))
                    .filter(Column::Id.eq(old.id))
                    .filter(Column::Attempt.eq(old.attempt))
                    .filter(Column::State.eq(State::Queued.as_str()))
                    .exec(&*transaction)
                    .await?;
                if changed.rows_affected > 0 {
                    let mut expired = Downlink::try_from(old)?;
                    expired.state = State::Expired;
                    let message = "a downlink waited too long";
                    telling::tell(scope, &transaction, &expired, message).await?;
                }
                Ok(changed.rows_affected)
            })
            .await?;
    }
    Ok(expired)
}

/// Records the result of an attempt, unless its claim was lost or the network reported first. Returns true if it was
/// recorded.
pub async fn settle(scope: &Scope, downlink: &Downlink, attempt: Attempt) -> Result<bool> {
    use downlink::Column;
    let now = scope.now();
    let mut after = downlink.clone();
    let message = match attempt.outcome {
        Outcome::Taken { reference } => {
            after.state = State::Sent;
            after.network_reference = reference;
            after.last_error = None;
            "the network server took a downlink".to_owned()
        }
        Outcome::Later(at, why) => {
            after.due_at = Some(at);
            after.last_error = Some(why);
            String::new()
        }
        Outcome::GivenUp(why) => {
            after.state = State::Failed;
            let message = format!("a downlink was given up: {why}");
            after.last_error = Some(why);
            message
        }
    };
    let is_over = after.state != State::Queued;
    let due_at = after.due_at.filter(|_| !is_over);
    let sent_at = (after.state == State::Sent).then_some(now);
    scope
        .record(async |transaction| {
            hold_device(&transaction, downlink.device.0).await?;
            let changed = scope
                .update::<downlink::Entity>()
                .col_expr(Column::State, Expr::value(after.state.as_str()))
                .col_expr(Column::DueAt, Expr::value(due_at))
                .col_expr(Column::IsSending, Expr::value(false))
                .col_expr(Column::SentAt, Expr::value(sent_at))
                .col_expr(
                    Column::NetworkReference,
                    Expr::value(after.network_reference.clone()),
                )
                .col_expr(
                    Column::LastStatus,
                    Expr::value(attempt.status.map(i32::from)),
                )
                .col_expr(Column::LastError, Expr::value(after.last_error.clone()))
                .col_expr(Column::UpdatedAt, Expr::value(now))
                .filter(Column::Id.eq(downlink.id))
                .filter(Column::Attempt.eq(downlink.attempt))
                .filter(Column::State.eq(State::Queued.as_str()))
                .exec(&*transaction)
                .await?;
            if changed.rows_affected > 0 && is_over {
                telling::tell(scope, &transaction, &after, &message).await?;
            }
            Ok(changed.rows_affected > 0)
        })
        .await
}

/// Takes the first downlink that waits for the device's next uplink, and marks it as sent in the response to this
/// one. Downlinks that have waited too long were expired before. A response may be lost; if the network server repeats the uplink, it gets the same downlink again.
pub async fn take_for_answer(
    scope: &Scope,
    connection: ConnectionId,
    device: DeviceKey,
    uplink: Uuid,
) -> Result<Option<Downlink>> {
    use downlink::Column;
    let now = scope.now();
    scope
        .record(async |transaction| {
            // The lock serializes requests with copies of one uplink.
            hold_device(&transaction, device.0).await?;
            let of_device = || {
                scope
                    .find::<downlink::Entity>()
                    .filter(Column::DeviceKey.eq(device.0))
                    .filter(Column::ConnectionId.eq(connection.0))
            };
            let answered = of_device().filter(Column::AnsweredUplinkId.eq(uplink));
            if let Some(answered) = answered.one(&*transaction).await? {
                let is_open =
                    answered.state == State::Sent.as_str() && answered.transmitted_at.is_none();
                return is_open.then(|| answered.try_into()).transpose();
            }
            let first = of_device()
                .filter(Column::State.eq(State::Queued.as_str()))
                .filter(Column::DueAt.is_null())
                .filter(Expr::cust(IS_FIRST))
                .order_by_desc(Column::Priority)
                .order_by_asc(Column::Id)
                .lock(LockType::Update)
                .one(&*transaction)
                .await?;
            let Some(first) = first.map(Downlink::try_from).transpose()? else {
                return Ok(None);
            };
            scope
                .update::<downlink::Entity>()
                .col_expr(Column::State, Expr::value(State::Sent.as_str()))
                .col_expr(Column::Attempt, Expr::col(Column::Attempt).add(1))
                .col_expr(Column::SentAt, Expr::value(now))
                .col_expr(Column::AnsweredUplinkId, Expr::value(uplink))
                .col_expr(Column::UpdatedAt, Expr::value(now))
                .filter(Column::Id.eq(first.id))
                .filter(Column::State.eq(State::Queued.as_str()))
                .exec(&*transaction)
                .await?;
            let taken = Downlink {
                state: State::Sent,
                ..first
            };
            let message = "a downlink went into the answer to the network server";
            telling::tell(scope, &transaction, &taken, message).await?;
            Ok(Some(taken))
        })
        .await
}
