//! Health of devices, derived from their last uplink.

use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Expr, ExprTrait, SimpleExpr},
};

use super::record::State;
use crate::store::{core::health::HealthState, entities::device_state};

/// Returns the time of a device's last message in a form that is never null; the expression matches the index
/// exactly.
pub(in crate::store) fn last_seen() -> SimpleExpr {
    Expr::cust(
        "COALESCE(\"device_states\".\"received_at\", '1970-01-01T00:00:00+00:00')".to_owned(),
    )
}

impl State {
    /// Returns the health: whether the driver could decode the last uplink.
    pub fn health(&self) -> HealthState {
        match (self.received_at, self.is_failing) {
            (None, _) => HealthState::NeverSeen,
            (Some(_), true) => HealthState::Failing,
            (Some(_), false) => HealthState::Ok,
        }
    }
}

/// Returns the condition for device states in this health state.
pub fn condition(state: HealthState) -> Condition {
    // Literal instead of a bound value, because bound values do not match a partial index.
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
