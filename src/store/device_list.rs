//! Lists of devices: which ones, and in which order.

use chrono::{DateTime, TimeDelta};
use sea_orm::{
    ColumnTrait, Condition, Order, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Func, LikeExpr, Query, SimpleExpr},
};

use super::{
    Page, Scope,
    devices::Device,
    driver_usage,
    entities::{device, device_connection, device_state},
    selecting,
};
use crate::{
    clock,
    clock::Time,
    error::{Error, Result},
    id::ConnectionId,
    reference::Reference,
    selector::Selector,
};

/// Which devices.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those that it picks.
    pub selector: Option<Selector>,
    /// Those with an address there.
    pub connection: Option<ConnectionId>,
    /// Those whose driver is this; without a tag or digest, whatever they call it.
    pub driver: Option<Reference>,
    /// Those that have sent nothing for so long, or never anything.
    pub silent_for: Option<TimeDelta>,
    /// Those with this in id, name or description, whatever its case.
    pub search: Option<String>,
}

/// What orders the list; devices that are alike stand in the order in which they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// When they were made.
    Created,
    /// Their id.
    Id,
    /// Their name; those without one first.
    Name,
    /// When they last sent something; those that never did first.
    LastSeen,
}

/// The order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// What by.
    pub by: SortBy,
    /// Whether the last comes first.
    pub descending: bool,
}

/// A place in the list: what it is ordered by, as text, and the device's key.
pub type Place = (String, i64);

/// A stretch of the devices.
pub async fn list(
    scope: &Scope,
    filter: &Filter,
    sort: Sort,
    after: Option<Place>,
    limit: u64,
) -> Result<Page<Device, Place>> {
    let order = if sort.descending {
        Order::Desc
    } else {
        Order::Asc
    };
    let mut query = scope
        .find::<device::Entity>()
        .find_also_related(device_state::Entity)
        .filter(filter.condition());
    if let Some(place) = after {
        query = query.filter(sort.behind(&place)?);
    }
    if let Some(value) = sort.value() {
        query = query.order_by(value, order.clone());
    }
    let found = query
        .order_by(device::Column::Id, order)
        .limit(limit.saturating_add(1))
        .all(scope.reader())
        .await?;
    let found = found
        .into_iter()
        .map(Device::try_from)
        .collect::<Result<Vec<_>>>()?;
    Ok(Page::cut(found, limit, |device| sort.place(device)))
}

impl Filter {
    fn condition(&self) -> Condition {
        let mut all = Condition::all();
        if let Some(selector) = &self.selector {
            all = all.add(selecting::picked(selector));
        }
        if let Some(connection) = self.connection {
            let addresses = Query::select()
                .expr(Expr::value(1))
                .from(device_connection::Entity)
                .and_where(
                    Expr::col((
                        device_connection::Entity,
                        device_connection::Column::DeviceKey,
                    ))
                    .equals((device::Entity, device::Column::Id)),
                )
                .and_where(device_connection::Column::ConnectionId.eq(connection.0))
                .to_owned();
            all = all.add(Expr::exists(addresses));
        }
        if let Some(driver) = &self.driver {
            all = all.add(driver_usage::using(driver));
        }
        if let Some(silence) = self.silent_for {
            let since = clock::now() - silence;
            let never = device_state::Column::ReceivedAt.is_null();
            let before = device_state::Column::ReceivedAt.lt(since);
            all = all.add(Condition::any().add(never).add(before));
        }
        if let Some(text) = &self.search {
            let pattern = format!("%{}%", escaped(&text.to_lowercase()));
            let like = |column| {
                Expr::expr(Func::lower(Expr::col((device::Entity, column))))
                    .like(LikeExpr::new(pattern.clone()).escape('\\'))
            };
            all = all.add(
                Condition::any()
                    .add(like(device::Column::DeviceId))
                    .add(like(device::Column::Name))
                    .add(like(device::Column::Description)),
            );
        }
        all
    }
}

impl Sort {
    /// What orders the list before the key; `None`: the key alone.
    fn value(self) -> Option<SimpleExpr> {
        let column = |column| Expr::col((device::Entity, column));
        match self.by {
            SortBy::Created => None,
            SortBy::Id => Some(column(device::Column::DeviceId)),
            SortBy::Name => {
                let name = column(device::Column::Name);
                Some(Func::coalesce([name, Expr::value("")]).into())
            }
            SortBy::LastSeen => {
                let seen = Expr::col((device_state::Entity, device_state::Column::ReceivedAt));
                Some(Func::coalesce([seen, Expr::value(Time::UNIX_EPOCH)]).into())
            }
        }
    }

    fn place(self, device: &Device) -> Place {
        let value = match self.by {
            SortBy::Created => String::new(),
            SortBy::Id => device.provisioned.id.clone(),
            SortBy::Name => device.provisioned.name.clone(),
            SortBy::LastSeen => device
                .state
                .received_at
                .unwrap_or(Time::UNIX_EPOCH)
                .to_rfc3339(),
        };
        (value, device.key.0)
    }

    fn behind(self, (text, key): &Place) -> Result<Condition> {
        let id = Expr::col((device::Entity, device::Column::Id));
        let key_behind = if self.descending {
            id.lt(*key)
        } else {
            id.gt(*key)
        };
        let Some(value) = self.value() else {
            return Ok(Condition::all().add(key_behind));
        };
        let place: SimpleExpr = match self.by {
            SortBy::LastSeen => {
                let time = DateTime::parse_from_rfc3339(text).map_err(|_| {
                    Error::field("cursor", "must be one that this list has answered")
                })?;
                Expr::value(clock::cut(time.to_utc()))
            }
            _ => Expr::value(text.clone()),
        };
        let value_behind = if self.descending {
            value.clone().lt(place.clone())
        } else {
            value.clone().gt(place.clone())
        };
        Ok(Condition::any()
            .add(value_behind)
            .add(Condition::all().add(value.eq(place)).add(key_behind)))
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}
