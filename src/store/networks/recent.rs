//! Error rate of a connection's recent messages.
//!
//! The row stores the counts of the last clock hour with messages, and those of the hour before. The earlier hour
//! counts in proportion to its part that lies in the last 60 minutes, as if its messages were spread evenly.
//! Therefore an update needs only the row itself, and old errors expire without any cleanup.

use sea_orm::{
    UpdateMany,
    sea_query::{CaseStatement, Expr, ExprTrait, SimpleExpr},
};

use crate::{
    clock::Time,
    store::entities::connection_health::{Column, Entity, Model},
};

const HOUR_S: i64 = 3600;

/// Message counts of the last hour with messages, and of the hour before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recent {
    /// Hour, counted from 1970.
    hour: i64,
    now: Tally,
    before: Tally,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    taken: i64,
    refused: i64,
}

impl Recent {
    /// Returns the share of messages rejected in the last 60 minutes, from 0 to 1; 0 if there were none.
    pub fn error_rate(&self, at: Time) -> f64 {
        let none = Tally::default();
        // The clock of another hub may be ahead.
        let (now, before) = match hour_of(at) - self.hour {
            -1 | 0 => (self.now, self.before),
            1 => (none, self.now),
            _ => (none, none),
        };
        let gone = at.timestamp().rem_euclid(HOUR_S);
        let (now, before) = (now.over(HOUR_S), before.over(HOUR_S - gone));
        let refused = now.refused.saturating_add(before.refused);
        let taken = now.taken.saturating_add(before.taken);
        match taken.saturating_add(refused) {
            0 => 0.0,
            all => share(refused, all),
        }
    }
}

impl Tally {
    /// Returns the tally weighted with this part of its hour, in messages times seconds.
    fn over(self, seconds: i64) -> Self {
        Self {
            taken: self.taken.saturating_mul(seconds),
            refused: self.refused.saturating_mul(seconds),
        }
    }
}

impl From<&Model> for Recent {
    fn from(model: &Model) -> Self {
        Self {
            hour: model.recent_hour,
            now: Tally {
                taken: model.recent_taken,
                refused: model.recent_refused,
            },
            before: Tally {
                taken: model.before_taken,
                refused: model.before_refused,
            },
        }
    }
}

/// Adds messages received at `at` to an update of a connection's health.
pub(in crate::store) fn count(
    update: UpdateMany<Entity>,
    at: Time,
    taken: i64,
    refused: i64,
) -> UpdateMany<Entity> {
    let hour = hour_of(at);
    // All expressions refer to the row before the update.
    update
        .col_expr(
            Column::BeforeTaken,
            before(hour, Column::BeforeTaken, Column::RecentTaken),
        )
        .col_expr(
            Column::BeforeRefused,
            before(hour, Column::BeforeRefused, Column::RecentRefused),
        )
        .col_expr(Column::RecentTaken, grown(hour, Column::RecentTaken, taken))
        .col_expr(
            Column::RecentRefused,
            grown(hour, Column::RecentRefused, refused),
        )
        .col_expr(
            Column::RecentHour,
            in_hour(hour, Expr::col(Column::RecentHour))
                .finally(hour)
                .into(),
        )
}

/// Returns the count of the earlier hour: unchanged, or that of the last hour if a new one begins.
fn before(hour: i64, before: Column, recent: Column) -> SimpleExpr {
    in_hour(hour, Expr::col(before))
        .case(
            Expr::col(Column::RecentHour).eq(hour - 1),
            Expr::col(recent),
        )
        .finally(0)
        .into()
}

/// Returns the count of the last hour, restarted if a new one begins.
fn grown(hour: i64, recent: Column, by: i64) -> SimpleExpr {
    in_hour(hour, Expr::col(recent).add(by)).finally(by).into()
}

/// Returns the case expression that applies while the row's hour lasts. The row may be an hour ahead if another
/// hub's clock is.
fn in_hour(hour: i64, then: SimpleExpr) -> CaseStatement {
    let is_same = Expr::col(Column::RecentHour).is_in([hour, hour + 1]);
    CaseStatement::new().case(is_same, then)
}

fn hour_of(time: Time) -> i64 {
    time.timestamp().div_euclid(HOUR_S)
}

#[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
fn share(part: i64, all: i64) -> f64 {
    part as f64 / all as f64
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const HOUR: i64 = 500_000;

    fn rate(recent: &Recent, minutes: i64) -> f64 {
        let start = Time::from_timestamp(HOUR * HOUR_S, 0).unwrap();
        recent.error_rate(start + TimeDelta::minutes(minutes))
    }

    fn recent(now: (i64, i64), before: (i64, i64)) -> Recent {
        let tally = |(taken, refused)| Tally { taken, refused };
        Recent {
            hour: HOUR,
            now: tally(now),
            before: tally(before),
        }
    }

    #[test]
    fn the_hour_before_counts_as_far_as_it_is_recent() {
        let reported = recent((3, 1), (0, 4));
        for (minutes, expected) in [
            // All of the earlier hour, half of it, a quarter.
            (0, 5.0 / 8.0),
            (30, 3.0 / 6.0),
            (45, 2.0 / 5.0),
            // Only the earlier hour is left.
            (60, 0.25),
            (119, 0.25),
            (120, 0.0),
            (100_000, 0.0),
            // A clock that is behind by minutes, and one that is wrong by more than an hour.
            (-1, 64.0 / 244.0),
            (-61, 0.0),
        ] {
            let reported = rate(&reported, minutes);
            assert!((reported - expected).abs() < 1e-9, "{minutes}: {reported}");
        }
    }

    #[test]
    fn without_messages_nothing_was_refused() {
        assert_eq!(rate(&Recent::default(), 0).to_bits(), 0);
        assert_eq!(rate(&recent((0, 0), (0, 0)), 59).to_bits(), 0);
    }

    #[test]
    fn counts_that_cannot_be_are_still_a_share() {
        let reported = rate(&recent((i64::MAX, i64::MAX), (i64::MAX, i64::MAX)), 1);
        assert!((0.0..=1.0).contains(&reported), "{reported}");
    }
}
