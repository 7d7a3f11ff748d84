//! Network reports about downlinks.

use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::Result,
    id::{ConnectionId, DeviceKey, TenantId},
    store::{core::transaction::DatabaseTransaction, downlinks::record::State, entities::downlink},
};

/// Network report about a downlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Device of the downlink.
    pub device: DeviceKey,
    /// Network connection that reported.
    pub connection: ConnectionId,
    /// Hub's identifier of the downlink, if the network echoes it.
    pub id: Option<Uuid>,
    /// Network server's identifier of the downlink.
    pub network_reference: Option<String>,
    /// Frame counter that it was sent with.
    pub f_cnt_down: Option<i64>,
    /// Reported result.
    pub result: DownlinkResult,
}

impl News {
    /// Returns the report that the device has confirmed a downlink, without an identifier.
    pub fn of_acknowledgement(device: DeviceKey, connection: ConnectionId) -> Self {
        Self {
            device,
            connection,
            id: None,
            network_reference: None,
            f_cnt_down: None,
            result: DownlinkResult::Acknowledged,
        }
    }
}

/// Reported result of a downlink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownlinkResult {
    /// It waits in the network server.
    Waiting,
    /// It was sent over the air.
    Transmitted,
    /// The device has confirmed it.
    Acknowledged,
    /// The device has not confirmed it, and will not.
    NotAcknowledged,
    /// The device has not confirmed it, and the network will send it again.
    NotAcknowledgedYet,
    /// It was not sent.
    Failed(String),
}

impl DownlinkResult {
    fn state(&self) -> State {
        match self {
            Self::Waiting | Self::Transmitted | Self::NotAcknowledgedYet => State::Sent,
            Self::Acknowledged => State::Acknowledged,
            Self::NotAcknowledged | Self::Failed(_) => State::Failed,
        }
    }

    /// Returns the change to the downlink's stored error.
    fn error(&self) -> NewError<'_> {
        match self {
            Self::Waiting | Self::Transmitted => NewError::AsBefore,
            Self::Acknowledged => NewError::None,
            Self::NotAcknowledged => NewError::Is("the device did not confirm it"),
            Self::NotAcknowledgedYet => NewError::Is("the device has not confirmed it yet"),
            Self::Failed(why) => NewError::Is(why),
        }
    }
}

/// Change to the stored error of a downlink.
enum NewError<'a> {
    /// Keep the stored error.
    AsBefore,
    /// Remove the error.
    None,
    /// Store this error.
    Is(&'a str),
}

/// Applies a report to the downlink that it is about, if that can be identified. The caller has locked the device. `now`
/// is by the clock that all hubs share.
pub(in crate::store) async fn apply(
    transaction: &DatabaseTransaction,
    tenant: TenantId,
    news: News,
    now: Time,
) -> Result<(), DbErr> {
    use downlink::Column;
    let Some(model) = meant(transaction, tenant, &news).await? else {
        return Ok(());
    };
    let mut update = downlink::Entity::update_many()
        .col_expr(Column::State, Expr::value(news.result.state().as_str()))
        .col_expr(Column::DueAt, Expr::value(Option::<Time>::None))
        .col_expr(Column::IsSending, Expr::value(false))
        .col_expr(Column::SentAt, Expr::value(model.sent_at.unwrap_or(now)))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::TenantId.eq(tenant.0))
        .filter(Column::Id.eq(model.id))
        .filter(Column::State.eq(model.state.as_str()));
    if news.result == DownlinkResult::Transmitted {
        update = update.col_expr(Column::TransmittedAt, Expr::value(now));
    }
    update = match news.result.error() {
        NewError::AsBefore => update,
        NewError::None => update.col_expr(Column::LastError, Expr::value(None::<String>)),
        NewError::Is(error) => update.col_expr(Column::LastError, Expr::value(error)),
    };
    if let Some(f_cnt_down) = news.f_cnt_down {
        update = update.col_expr(Column::FCntDown, Expr::value(f_cnt_down));
    }
    if let Some(reference) = news.network_reference {
        update = update.col_expr(Column::NetworkReference, Expr::value(reference));
    }
    update.exec(transaction).await?;
    Ok(())
}

/// Finds the downlink of a report: by the hub's identifier, the network's, or the frame counter; otherwise the
/// oldest one that the report fits. Ended downlinks never match; the row is locked, so that it does not end in the
/// meantime.
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
        // ChirpStack's broker receives the hub's id as its reference, and may report before the hub has stored that
        // the downlink was accepted.
        if let Ok(id) = Uuid::parse_str(reference) {
            let found = of_device().filter(Column::Id.eq(id));
            let found = found.filter(Column::State.is_in(open)).one(transaction);
            if let Some(found) = found.await? {
                return Ok(Some(found));
            }
        }
    }
    // An unknown reference belongs to another downlink, or to one that this hub did not send.
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
    match news.result {
        DownlinkResult::Transmitted => silent().one(transaction).await,
        // A downlink that was sent over the air can only fail by missing its confirmation.
        DownlinkResult::Failed(_) => match silent().one(transaction).await? {
            None => asked().one(transaction).await,
            found => Ok(found),
        },
        DownlinkResult::Acknowledged
        | DownlinkResult::NotAcknowledged
        | DownlinkResult::NotAcknowledgedYet => asked().one(transaction).await,
        DownlinkResult::Waiting => Ok(None),
    }
}
