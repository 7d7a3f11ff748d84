//! The queue of downlinks, worked off: claimed with a lease, settled once, moved by what networks tell.
//!
//! While an attempt is under way, `due_at` is the time at which it counts as lost, so a process that
//! dies gives its work back by doing nothing. Of a device's downlinks in one network only the first
//! is ever due: by priority, then by age.

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
    sea_query::{
        CommonTableExpression, Expr, ExprTrait, LockBehavior, LockType, Query, SimpleExpr,
        WithClause,
    },
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::store::removals;
use crate::{
    clock::{self, Time},
    error::Result,
    id::{ConnectionId, DeviceKey, TenantId},
    store::{
        Scope, Store,
        core::transaction::DatabaseTransaction,
        devices,
        downlinks::{self, Downlink, State},
        entities::{downlink, network_connection},
        networks::downlink_settings::{self, Seen},
    },
};

/// Nothing of the same device goes before it: neither one that is being sent, whatever its priority,
/// nor one that waits and has a higher priority or is older.
const IS_FIRST: &str = "NOT EXISTS (SELECT 1 FROM downlinks AS other \
    WHERE other.device_key = downlinks.device_key \
    AND other.connection_id = downlinks.connection_id AND other.state = 'queued' \
    AND ((other.is_sending AND NOT downlinks.is_sending) \
    OR (other.is_sending = downlinks.is_sending AND (other.priority > downlinks.priority \
    OR (other.priority = downlinks.priority AND other.id < downlinks.id)))))";

/// What came of an attempt to hand a downlink over.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// HTTP status of the answer, where there was one.
    pub status: Option<u16>,
    /// What it means.
    pub outcome: Outcome,
}

/// What an attempt means.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The network server has it.
    Taken {
        /// Under this id of its own.
        reference: Option<String>,
    },
    /// It failed, and is tried again then.
    Later(Time, String),
    /// It failed for good.
    GivenUp(String),
}

/// What a network tells of a downlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The device.
    pub device: DeviceKey,
    /// The network.
    pub connection: ConnectionId,
    /// The hub's own id of the downlink, where the network echoes it.
    pub id: Option<Uuid>,
    /// The network server's id of it.
    pub network_reference: Option<String>,
    /// The frame counter that it was sent with.
    pub f_cnt_down: Option<i64>,
    /// What became of it.
    pub became: Became,
}

impl News {
    /// The device has confirmed a downlink, without saying which.
    pub fn of_acknowledgement(device: DeviceKey, connection: ConnectionId) -> Self {
        Self {
            device,
            connection,
            id: None,
            network_reference: None,
            f_cnt_down: None,
            became: Became::Acknowledged,
        }
    }
}

/// What became of a downlink in its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// It waits in the network server.
    Waiting,
    /// It went over the air.
    Transmitted,
    /// The device has confirmed it.
    Acknowledged,
    /// The device has not confirmed it, and never will.
    NotAcknowledged,
    /// The device has not confirmed it, and the network sends it again.
    NotAcknowledgedYet,
    /// It was not sent.
    Failed(String),
}

impl Became {
    fn state(&self) -> State {
        match self {
            Self::Waiting | Self::Transmitted | Self::NotAcknowledgedYet => State::Sent,
            Self::Acknowledged => State::Acknowledged,
            Self::NotAcknowledged | Self::Failed(_) => State::Failed,
        }
    }

    /// What there is to say of it from now on; `None`: what was said stays.
    fn error(&self) -> Option<Option<&str>> {
        match self {
            Self::Waiting | Self::Transmitted => None,
            Self::Acknowledged => Some(None),
            Self::NotAcknowledged => Some(Some("the device did not confirm it")),
            Self::NotAcknowledgedYet => Some(Some("the device has not confirmed it yet")),
            Self::Failed(why) => Some(Some(why)),
        }
    }
}

impl Store {
    /// Changes whenever a downlink is queued.
    pub fn queued_downlinks(&self) -> watch::Receiver<()> {
        self.inner.signals.downlinks.subscribe()
    }

    /// The connections of all tenants over which something waits to be sent, or to expire.
    pub async fn connections_with_downlinks(&self) -> Result<Vec<(TenantId, ConnectionId)>> {
        use downlink::Column;
        // Those of a connection that was deleted wait to be cleared away.
        let connection = Query::select()
            .expr(Expr::value(1))
            .from(network_connection::Entity)
            .and_where(
                Expr::col((network_connection::Entity, network_connection::Column::Id))
                    .equals((downlink::Entity, Column::ConnectionId)),
            )
            .and_where(removals::is_live(Expr::col((
                network_connection::Entity,
                network_connection::Column::TenantId,
            ))))
            .to_owned();
        let found: Vec<(i64, i64)> = downlink::Entity::find()
            .filter(Column::State.eq(State::Queued.as_str()))
            .filter(Expr::exists(connection))
            .filter(
                Condition::any()
                    .add(Column::DueAt.is_not_null())
                    .add(Column::ExpiresAt.is_not_null()),
            )
            .select_only()
            .column(Column::TenantId)
            .column(Column::ConnectionId)
            .distinct()
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        let typed = |(tenant, connection)| (TenantId(tenant), ConnectionId(connection));
        Ok(found.into_iter().map(typed).collect())
    }
}

fn waiting(connection: ConnectionId) -> Condition {
    Condition::all()
        .add(downlink::Column::ConnectionId.eq(connection.0))
        .add(downlink::Column::State.eq(State::Queued.as_str()))
}

/// Which downlinks to take.
pub struct Claim {
    /// How the connection and its settings were when they were looked up.
    pub seen: Seen,
    /// Whether downlinks go out by themselves, by these settings.
    pub is_pushed: bool,
    /// What is under way here, whatever the clock says of its lease.
    pub under_way: Vec<Uuid>,
    /// How many at most.
    pub limit: u64,
    /// For how long.
    pub lease: TimeDelta,
}

/// Takes downlinks that are due. `None`: the connection or its settings are others by now.
///
/// The claims of a connection take turns, so that each sees what is under way: of two at once, one
/// would not know of what the other takes.
pub async fn claim(
    scope: &Scope,
    connection: ConnectionId,
    claim: Claim,
) -> Result<Option<Vec<Downlink>>> {
    let transaction = scope.store.begin([]).await?;
    let claimed = claim.run(scope, &transaction, connection).await;
    transaction.finish(claimed).await
}

impl Claim {
    async fn run(
        self,
        scope: &Scope,
        transaction: &DatabaseTransaction,
        connection: ConnectionId,
    ) -> Result<Option<Vec<Downlink>>> {
        let lock = LockType::NoKeyUpdate;
        let is_current =
            downlink_settings::is_as_seen(scope, transaction, connection, self.seen, lock);
        if !is_current.await? {
            return Ok(None);
        }
        match self.is_pushed {
            true => take(scope, transaction, connection, self).await.map(Some),
            false => {
                let is_left = Condition::any()
                    .add(downlink::Column::IsSending.eq(false))
                    .add(downlink::Column::DueAt.lte(scope.now()));
                wait_to_be_asked(scope, transaction, connection, is_left).await?;
                Ok(Some(Vec::new()))
            }
        }
    }
}

/// What was sent by itself before waits for its device to ask, as far as no attempt is under way.
async fn wait_to_be_asked(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    connection: ConnectionId,
    is_left: Condition,
) -> Result<(), DbErr> {
    use downlink::Column;
    let which = waiting(connection)
        .add(Column::DueAt.is_not_null())
        .add(is_left);
    hold_in_order(scope, transaction, which.clone()).await?;
    scope
        .update::<downlink::Entity>()
        .col_expr(Column::DueAt, Expr::value(None::<Time>))
        .col_expr(Column::IsSending, Expr::value(false))
        .filter(which)
        .exec(transaction)
        .await?;
    Ok(())
}

async fn take(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    connection: ConnectionId,
    claim: Claim,
) -> Result<Vec<Downlink>> {
    use downlink::Column;
    let now = scope.now();
    let due = scope
        .find::<downlink::Entity>()
        .select_only()
        .column(Column::Id)
        .filter(waiting(connection))
        .filter(Column::DueAt.lte(now))
        .filter(Expr::cust(IS_FIRST))
        .filter(Column::Id.is_not_in(claim.under_way))
        .order_by_asc(Column::DueAt)
        .limit(claim.limit)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_query();
    // Apart, because PostgreSQL may run a subquery more than once and so lock more than the limit.
    let due = CommonTableExpression::new()
        .query(due)
        .table_name("due")
        .to_owned();
    let ids = Query::select().column("id").from("due").to_owned();
    let update = scope
        .update::<downlink::Entity>()
        .col_expr(Column::IsSending, Expr::value(true))
        .col_expr(Column::Attempt, Expr::col(Column::Attempt).add(1))
        .col_expr(Column::DueAt, Expr::value(now + claim.lease))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::Id.in_subquery(ids))
        .into_query()
        .returning_all()
        .to_owned()
        .with(WithClause::new().cte(due).to_owned());
    let statement = transaction.get_database_backend().build(&update);
    let claimed = downlink::Model::find_by_statement(statement)
        .all(transaction)
        .await?;
    Ok(claimed.into_iter().map(Downlink::from).collect())
}

/// When there is something to do next for the connection: to send, where it may, or to expire.
pub async fn next(scope: &Scope, connection: ConnectionId, may_send: bool) -> Result<Option<Time>> {
    use downlink::Column;
    let earliest = async |column: Column, more: Option<SimpleExpr>| -> Result<Option<Time>> {
        let found = scope
            .find::<downlink::Entity>()
            .select_only()
            .column(column)
            .filter(waiting(connection))
            .filter(column.is_not_null())
            .filter(Condition::all().add_option(more))
            .order_by_asc(column)
            .into_tuple::<Option<Time>>()
            .one(scope.reader())
            .await?;
        Ok(found.flatten())
    };
    let due = match may_send {
        true => earliest(Column::DueAt, Some(Expr::cust(IS_FIRST))).await?,
        false => None,
    };
    let expires = earliest(Column::ExpiresAt, None).await?;
    Ok(match (due, expires) {
        (Some(due), Some(expires)) => Some(Ord::min(due, expires)),
        (due, expires) => due.or(expires),
    })
}

/// What waits goes out by itself from now on, or waits to be asked for, as the connection's settings
/// say. What waits for another try is tried at once: by these settings, it was not tried yet.
pub(in crate::store) async fn redirect(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    connection: ConnectionId,
    is_pushed: bool,
) -> Result<(), DbErr> {
    use downlink::Column;
    let due_at = is_pushed.then(|| scope.now());
    hold_in_order(scope, transaction, waiting(connection)).await?;
    scope
        .update::<downlink::Entity>()
        .col_expr(Column::DueAt, Expr::value(due_at))
        .filter(waiting(connection))
        .filter(Column::IsSending.eq(false))
        .exec(transaction)
        .await?;
    Ok(())
}

/// Holds downlinks in the order in which news of them are written, so that neither waits for the other in a
/// circle.
async fn hold_in_order(
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

/// Ends what has waited too long, unless it is just being sent.
pub async fn expire(scope: &Scope, connection: ConnectionId) -> Result<()> {
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
    for old in found {
        scope
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
                    let mut expired = Downlink::from(old);
                    expired.state = State::Expired;
                    let message = "a downlink waited too long";
                    downlinks::tell(scope, &transaction, &expired, message).await?;
                }
                Ok(())
            })
            .await?;
    }
    Ok(())
}

/// Writes down what came of an attempt, unless its claim was lost, or the network was quicker.
pub async fn settle(scope: &Scope, downlink: &Downlink, attempt: Attempt) -> Result<()> {
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
                downlinks::tell(scope, &transaction, &after, &message).await?;
            }
            Ok(())
        })
        .await
}

/// Takes the first downlink that waits for the device to ask for it, as sent in the answer to that uplink.
/// An answer may not arrive, and the network server then repeats the uplink: it gets the same once more.
pub async fn take_for_answer(
    scope: &Scope,
    connection: ConnectionId,
    device: DeviceKey,
    uplink: Uuid,
) -> Result<Option<Downlink>> {
    use downlink::Column;
    expire(scope, connection).await?;
    let now = scope.now();
    scope
        .record(async |transaction| {
            // Those who ask with copies of one uplink take turns.
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
                return Ok(is_open.then(|| answered.into()));
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
            let Some(first) = first.map(Downlink::from) else {
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
            downlinks::tell(scope, &transaction, &taken, message).await?;
            Ok(Some(taken))
        })
        .await
}

/// Moves the downlink that a network tells of, where it can be told which one that is. The caller holds the
/// device.
pub(in crate::store) async fn apply(
    transaction: &DatabaseTransaction,
    tenant: TenantId,
    news: News,
) -> Result<(), DbErr> {
    use downlink::Column;
    let Some(model) = meant(transaction, tenant, &news).await? else {
        return Ok(());
    };
    let now = clock::now();
    let mut update = downlink::Entity::update_many()
        .col_expr(Column::State, Expr::value(news.became.state().as_str()))
        .col_expr(Column::DueAt, Expr::value(Option::<Time>::None))
        .col_expr(Column::IsSending, Expr::value(false))
        .col_expr(Column::SentAt, Expr::value(model.sent_at.unwrap_or(now)))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::Id.eq(model.id))
        .filter(Column::State.eq(model.state.as_str()));
    if news.became == Became::Transmitted {
        update = update.col_expr(Column::TransmittedAt, Expr::value(now));
    }
    if let Some(error) = news.became.error() {
        update = update.col_expr(Column::LastError, Expr::value(error));
    }
    if let Some(f_cnt_down) = news.f_cnt_down {
        update = update.col_expr(Column::FCntDown, Expr::value(f_cnt_down));
    }
    if let Some(reference) = news.network_reference {
        update = update.col_expr(Column::NetworkReference, Expr::value(reference));
    }
    update.exec(transaction).await?;
    Ok(())
}

/// The downlink that is meant: by our id, by the network's, by the frame counter; else the oldest
/// that such news can be about. What has come to its end stays as it is: its row is held, so that it
/// does not come to it meanwhile.
async fn meant(
    transaction: &DatabaseTransaction,
    tenant: TenantId,
    news: &News,
) -> Result<Option<downlink::Model>, DbErr> {
    use downlink::Column;
    let open = [State::Queued.as_str(), State::Sent.as_str()];
    let of_device = || {
        downlink::Entity::find()
            .filter(Column::TenantId.eq(tenant.0))
            .filter(Column::DeviceKey.eq(news.device.0))
            .filter(Column::ConnectionId.eq(news.connection.0))
            .order_by_asc(Column::Id)
            .lock(LockType::NoKeyUpdate)
    };
    if let Some(id) = news.id {
        let found = of_device().filter(Column::Id.eq(id));
        return found
            .filter(Column::State.is_in(open))
            .one(transaction)
            .await;
    }
    let sent = || of_device().filter(Column::State.eq(State::Sent.as_str()));
    if let Some(reference) = &news.network_reference {
        let found = sent().filter(Column::NetworkReference.eq(reference));
        if let Some(found) = found.one(transaction).await? {
            return Ok(Some(found));
        }
        // ChirpStack's broker is given our id for its own, and may be quicker with its news than we
        // with our note of what it took.
        if let Ok(id) = Uuid::parse_str(reference) {
            let found = of_device().filter(Column::Id.eq(id));
            let found = found.filter(Column::State.is_in(open)).one(transaction);
            if let Some(found) = found.await? {
                return Ok(Some(found));
            }
        }
    }
    // What the network calls by another name is another's, or one that nobody here has sent.
    let unnamed = || match news.network_reference {
        Some(_) => sent().filter(Column::NetworkReference.is_null()),
        None => sent(),
    };
    if let Some(f_cnt_down) = news.f_cnt_down {
        let found = unnamed().filter(Column::FCntDown.eq(f_cnt_down));
        if let Some(found) = found.one(transaction).await? {
            return Ok(Some(found));
        }
    }
    let silent = || unnamed().filter(Column::TransmittedAt.is_null());
    let asked = || unnamed().filter(Column::Confirmed.eq(true));
    match news.became {
        Became::Transmitted => silent().one(transaction).await,
        // What is over the air can only fail to be confirmed.
        Became::Failed(_) => match silent().one(transaction).await? {
            None => asked().one(transaction).await,
            found => Ok(found),
        },
        Became::Acknowledged | Became::NotAcknowledged | Became::NotAcknowledgedYet => {
            asked().one(transaction).await
        }
        Became::Waiting => Ok(None),
    }
}

/// Holds the device, before its downlinks are touched.
async fn hold_device(transaction: &DatabaseTransaction, device: i64) -> Result<(), DbErr> {
    devices::hold(transaction, vec![device]).await
}
