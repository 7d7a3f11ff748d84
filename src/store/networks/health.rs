//! Health of network connections, derived from received messages.

use sea_orm::{ColumnTrait, Condition, sea_query::ExprTrait};

use crate::{
    clock::Time,
    store::{
        core::health::HealthState,
        entities::connection_health::{self, Column},
        networks::{recent::Recent, subscriptions::Subscription},
    },
};

/// Health of a connection; counts cover the time since its creation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Number of uplinks of known devices.
    pub uplinks: i64,
    /// Number of messages of unknown devices.
    pub unknown_devices: i64,
    /// Number of well-formed messages other than uplinks, such as joins and acknowledgements.
    pub other_messages: i64,
    /// Number of rejected messages.
    pub malformed: i64,
    /// Number of copies of frames recorded before.
    pub duplicates: i64,
    /// Number of messages whose time could not be read or was implausible.
    pub odd_times: i64,
    /// Problem with the last of these times.
    pub last_odd_time: Option<String>,
    /// Time of that message.
    pub last_odd_time_at: Option<Time>,
    /// Number of requests with a wrong ingest key.
    pub unauthorized: i64,
    /// Time of the last such request.
    pub unauthorized_at: Option<Time>,
    /// Time of the last accepted message.
    pub last_message_at: Option<Time>,
    /// Time of the last rejected message.
    pub last_error_at: Option<Time>,
    /// Reason for the last rejection.
    pub last_error: Option<String>,
    /// Recent messages, for the error rate.
    pub recent: Recent,
    /// State of the subscription to its broker; `None` if the network server calls the hub.
    pub subscription: Option<Subscription>,
}

impl Health {
    /// Returns the health state: failing if the broker, if any, is not connected, or if the last message was
    /// rejected.
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

/// Returns the condition for connections in this health state.
pub fn condition(state: HealthState) -> Condition {
    let (taken, refused) = (Column::LastMessageAt, Column::LastErrorAt);
    let column = |column: Column| column.into_expr();
    // Both columns are null if the network server calls the hub.
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
