//! The health of devices, from their last uplink.

use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Expr, ExprTrait, SimpleExpr},
};

use super::record::State;
use crate::store::{core::health::HealthState, entities::device_state};

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

/// The states of devices that are so.
pub fn condition(state: HealthState) -> Condition {
    // Not as a bound value, which no partial index is chosen for.
    let is_failing = Expr::cust("\"device_states\".\"is_failing\"");
    let received = device_state::Column::ReceivedAt;
    match state {
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
