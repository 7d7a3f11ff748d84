//! Lists of devices, with filters and sorting.

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, Condition, QueryFilter,
    sea_query::{Expr, ExprTrait, Query},
};

use crate::{
    clock::Time,
    error::Result,
    id::ConnectionId,
    reference::Reference,
    selector::Selector,
    store::{
        core::{
            health::HealthState,
            listing::{self, Order, Place, Sort, Stretch},
            page::Page,
            scope::Scope,
        },
        devices::{
            health::{self, last_seen},
            record::Device,
            selecting,
        },
        drivers::usage,
        entities::{device, device_connection, device_state},
    },
};

/// Columns that a search looks in.
const SEARCHED: [device::Column; 3] = [
    device::Column::DeviceId,
    device::Column::Name,
    device::Column::Description,
];

/// Filter of a list of devices; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Selector that the devices must match.
    pub selector: Option<Selector>,
    /// Network connection on which the devices must have an address.
    pub connection: Option<ConnectionId>,
    /// Driver of the devices. Without a tag or digest, any version of it matches.
    pub driver: Option<Reference>,
    /// Minimum time since the last message; also matches devices that have never sent any.
    pub silent_for: Option<TimeDelta>,
    /// Health state of the devices.
    pub health: Option<HealthState>,
    /// Text that the id, name or description must contain, ignoring case.
    pub search: Option<String>,
}

/// Sort key of a list; equal devices are ordered by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// Time of creation.
    Created,
    /// Identifier of the device.
    Id,
    /// Name; devices without one come first.
    Name,
    /// Time of the last change.
    Updated,
    /// Time of the last message; devices that never sent one come first.
    LastSeen,
}

/// Returns a page of the devices.
pub async fn list(
    scope: &Scope,
    filter: &Filter,
    sort: Sort<SortBy>,
    stretch: &Stretch,
) -> Result<Page<Device, Place>> {
    let begins_with_states = filter.begins_with_states(sort);
    // Every device has a state. A condition on the state's tenant lets the database start from the states' index.
    let of_tenant = device_state::Column::TenantId.eq(scope.tenant.0);
    let query = scope
        .find::<device::Entity>()
        .find_also_related(device_state::Entity)
        .filter(Condition::all().add_option(begins_with_states.then_some(of_tenant)))
        .filter(filter.condition(sort, scope.now()));
    let order = sort.order(begins_with_states);
    let page = listing::section(scope, query, &order, stretch, |row| sort.place(row)).await?;
    page.try_map(Device::try_from)
}

impl Filter {
    /// True if an index on the states leads directly to the page.
    fn begins_with_states(&self, sort: Sort<SortBy>) -> bool {
        match self.health {
            // Failing devices are few.
            Some(HealthState::Failing) => true,
            // These may be all devices, and any order other than the index's would sort all of them for a page.
            Some(HealthState::NeverSeen) => {
                matches!(sort.by, SortBy::Created | SortBy::LastSeen)
            }
            _ => sort.by == SortBy::LastSeen,
        }
    }

    fn condition(&self, sort: Sort<SortBy>, now: Time) -> Condition {
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
            all = all.add(usage::using(driver));
        }
        if let Some(silence) = self.silent_for {
            let since = now - silence;
            all = all.add(if sort.by == SortBy::LastSeen {
                Condition::all().add(last_seen().lt(since))
            } else {
                // Without the index expression, because the database would otherwise sort all silent devices for a
                // page.
                let received = device_state::Column::ReceivedAt;
                Condition::any()
                    .add(received.is_null())
                    .add(received.lt(since))
            });
        }
        let search = self.search.as_ref();
        all.add_option(self.health.map(health::condition))
            .add_option(search.map(|text| listing::holding(text, &SEARCHED)))
    }
}

impl Sort<SortBy> {
    fn order(self, begins_with_states: bool) -> Order {
        use device::Column;
        let down = self.descending;
        // Both columns hold the same key; this one belongs to the table whose index leads to the page.
        let key = match begins_with_states {
            true => device_state::Column::DeviceKey.into_expr(),
            false => Column::Id.into_expr(),
        };
        match self.by {
            SortBy::Created => Order::by_key(key, down),
            SortBy::Id => Order::by_text(Column::DeviceId.into_expr(), key, down),
            SortBy::Name => {
                // Must match the index expression exactly.
                let name = Expr::cust("COALESCE(\"devices\".\"name\", '')");
                Order::by_text(name, key, down)
            }
            SortBy::Updated => Order::by_time(Column::UpdatedAt.into_expr(), key, down),
            SortBy::LastSeen => Order::by_time(last_seen(), key, down),
        }
    }

    fn place(self, (device, state): &(device::Model, Option<device_state::Model>)) -> Place {
        let key = device.id;
        match self.by {
            SortBy::Created => Place::of_key(key),
            SortBy::Id => Place(device.device_id.clone(), key),
            SortBy::Name => Place(device.name.clone().unwrap_or_default(), key),
            SortBy::Updated => Place::of_time(device.updated_at, key),
            SortBy::LastSeen => {
                let seen = state.as_ref().and_then(|state| state.received_at);
                Place::of_time(seen.unwrap_or(Time::UNIX_EPOCH), key)
            }
        }
    }
}
