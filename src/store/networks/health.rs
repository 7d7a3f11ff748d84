//! The health of network connections, from what came in over them.

use sea_orm::{ColumnTrait, Condition, sea_query::ExprTrait};

use crate::{
    clock::Time,
    store::{
        core::health::HealthState,
        entities::connection_health::{self, Column},
        networks::{recent::Recent, subscriptions::Subscription},
    },
};

/// What came in over a connection, counted since it was made where nothing else is said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Uplinks of known devices.
    pub uplinks: i64,
    /// Uplinks of devices that nobody provisioned.
    pub unknown_devices: i64,
    /// Well-formed messages that are no uplinks: joins, acknowledgements ...
    pub other_messages: i64,
    /// Messages that were refused.
    pub malformed: i64,
    /// Copies of frames that were recorded before.
    pub duplicates: i64,
    /// Messages whose time could not be read, or could not be true.
    pub odd_times: i64,
    /// What was wrong with the last of these times.
    pub last_odd_time: Option<String>,
    /// When that message came.
    pub last_odd_time_at: Option<Time>,
    /// Requests with a wrong ingest key.
    pub unauthorized: i64,
    /// When the last of them came.
    pub unauthorized_at: Option<Time>,
    /// When the last message came that was taken.
    pub last_message_at: Option<Time>,
    /// When the last one was refused.
    pub last_error_at: Option<Time>,
    /// Why it was refused.
    pub last_error: Option<String>,
    /// How many were refused lately.
    pub recent: Recent,
    /// Whether its broker is heard; `None` where the network server calls.
    pub subscription: Option<Subscription>,
}

impl Health {
    /// How the connection is: whether its broker is heard, where it has one, and whether the last message
    /// was taken or refused.
    pub fn state(&self) -> HealthState {
        let is_unheard = |subscription: &Subscription| {
            subscription.connected_since.is_none() || subscription.error.is_some()
        };
        if self.subscription.as_ref().is_some_and(is_unheard) {
            return HealthState::Failing;
        }
        match (self.last_message_at, self.last_error_at) {
            (None, None) => HealthState::NeverSeen,
            (taken, Some(refused)) if taken.is_none_or(|taken| taken <= refused) => {
                HealthState::Failing
            }
            _ => HealthState::Ok,
        }
    }
}

/// The health of connections that are so.
pub fn condition(state: HealthState) -> Condition {
    let (taken, refused) = (Column::LastMessageAt, Column::LastErrorAt);
    let column = |column: Column| column.into_expr();
    // Where the network server calls, neither column has a value.
    let is_heard = Condition::all().add(Column::ConnectionError.is_null()).add(
        Condition::any()
            .add(Column::Connected.is_null())
            .add(Column::Connected.eq(true)),
    );
    let is_unheard = Condition::any()
        .add(Column::ConnectionError.is_not_null())
        .add(Column::Connected.eq(false));
    match state {
        HealthState::Ok => is_heard.add(taken.is_not_null()).add(
            Condition::any()
                .add(refused.is_null())
                .add(column(refused).lt(column(taken))),
        ),
        HealthState::Failing => is_unheard.add(
            Condition::all().add(refused.is_not_null()).add(
                Condition::any()
                    .add(taken.is_null())
                    .add(column(refused).gte(column(taken))),
            ),
        ),
        HealthState::NeverSeen => is_heard.add(taken.is_null()).add(refused.is_null()),
    }
}

impl From<connection_health::Model> for Health {
    fn from(model: connection_health::Model) -> Self {
        let recent = Recent::from(&model);
        let connection_health::Model {
            tenant_id: _,
            connection_id: _,
            uplinks,
            unknown_devices,
            other_messages,
            malformed,
            duplicates,
            last_message_at,
            last_error_at,
            last_error,
            connected,
            connected_since,
            connection_error,
            odd_times,
            last_odd_time,
            last_odd_time_at,
            unauthorized,
            unauthorized_at,
            ..
        } = model;
        let subscription = connected.map(|connected| Subscription {
            connected_since: connected_since.filter(|_| connected),
            error: connection_error,
        });
        Self {
            uplinks,
            unknown_devices,
            other_messages,
            malformed,
            duplicates,
            odd_times,
            last_odd_time,
            last_odd_time_at,
            unauthorized,
            unauthorized_at,
            last_message_at,
            last_error_at,
            last_error,
            recent,
            subscription,
        }
    }
}
