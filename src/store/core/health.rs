//! How devices and connections are, from what they last sent.

use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Expr, ExprTrait, SimpleExpr},
};

use crate::store::{
    devices::State,
    entities::{connection_health::Column, device_state},
    networks::{Health, subscriptions::Subscription},
};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// What it sent last was understood.
    Ok,
    /// What it sent last was not, or its broker is not heard.
    Failing,
    /// It has sent nothing yet.
    NeverSeen,
}

/// When a device last sent something, in a form that is never null: as in the index, to the letter.
pub(in crate::store) fn last_seen() -> SimpleExpr {
    Expr::cust(
        "COALESCE(\"device_states\".\"received_at\", '1970-01-01T00:00:00+00:00')".to_owned(),
    )
}

impl State {
    /// How the device is: whether its driver could make something of its last uplink.
    pub fn health(&self) -> HealthState {
        match (self.received_at, self.is_failing) {
            (None, _) => HealthState::NeverSeen,
            (Some(_), true) => HealthState::Failing,
            (Some(_), false) => HealthState::Ok,
        }
    }
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

impl HealthState {
    /// The states of devices that are so.
    pub(in crate::store) fn of_devices(self) -> Condition {
        // Not as a bound value, which no partial index is chosen for.
        let is_failing = Expr::cust("\"device_states\".\"is_failing\"");
        let received = device_state::Column::ReceivedAt;
        match self {
            HealthState::Ok => Condition::all()
                .add(received.is_not_null())
                .add(is_failing.not()),
            HealthState::Failing => Condition::all().add(is_failing),
            HealthState::NeverSeen => {
                let never = Expr::cust("'1970-01-01T00:00:00+00:00'");
                Condition::all().add(last_seen().eq(never))
            }
        }
    }

    /// The health of connections that are so.
    pub(in crate::store) fn of_connections(self) -> Condition {
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
        match self {
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
}
