//! Changes that a batch of messages makes to the health of one connection.

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter,
    sea_query::{CaseStatement, Expr, ExprTrait, SimpleExpr},
};

use super::recent;
use crate::{
    clock::Time,
    store::{
        core::transaction::DatabaseTransaction,
        entities::connection_health::{Column, Entity},
    },
};

/// Counts to add, and the last occurrence of each kind.
#[derive(Default)]
pub(in crate::store) struct HealthChange {
    pub uplinks: i64,
    pub unknown_devices: i64,
    pub other_messages: i64,
    pub malformed: i64,
    pub duplicates: i64,
    pub odd_times: i64,
    pub unauthorized: i64,
    pub last_message_at: Option<Time>,
    pub last_error: Option<(Time, String)>,
    pub last_odd_time: Option<(Time, String)>,
    pub unauthorized_at: Option<Time>,
}

impl HealthChange {
    pub(in crate::store) async fn apply(
        self,
        transaction: &DatabaseTransaction,
        connection: i64,
    ) -> Result<(), DbErr> {
        let mut update = Entity::update_many().filter(Column::ConnectionId.eq(connection));
        for (column, grown) in [
            (Column::Uplinks, self.uplinks),
            (Column::UnknownDevices, self.unknown_devices),
            (Column::OtherMessages, self.other_messages),
            (Column::Malformed, self.malformed),
            (Column::Duplicates, self.duplicates),
            (Column::OddTimes, self.odd_times),
            (Column::Unauthorized, self.unauthorized),
        ] {
            if grown > 0 {
                update = update.col_expr(column, Expr::col(column).add(grown));
            }
        }
        let last_error_at = self.last_error.as_ref().map(|(at, _)| *at);
        if let Some(at) = Ord::max(self.last_message_at, last_error_at) {
            let taken = self.uplinks + self.unknown_devices + self.other_messages;
            update = recent::count(update, at, taken, self.malformed);
        }
        if let Some(at) = self.last_message_at {
            update = update.col_expr(Column::LastMessageAt, Expr::value(at));
            if self.last_error.is_none() {
                let before = at - TimeDelta::milliseconds(1);
                update = update.col_expr(
                    Column::LastErrorAt,
                    no_later(Column::LastErrorAt, at, before),
                );
            }
        }
        if let Some((at, why)) = self.last_error {
            update = update
                .col_expr(Column::LastErrorAt, Expr::value(at))
                .col_expr(Column::LastError, Expr::value(why));
            if self.last_message_at.is_none() {
                update = update.col_expr(
                    Column::LastMessageAt,
                    no_later(Column::LastMessageAt, at, at),
                );
            }
        }
        if let Some((at, why)) = self.last_odd_time {
            update = update
                .col_expr(Column::LastOddTimeAt, Expr::value(at))
                .col_expr(Column::LastOddTime, Expr::value(why));
        }
        if let Some(at) = self.unauthorized_at {
            update = update.col_expr(Column::UnauthorizedAt, Expr::value(at));
        }
        update.exec(transaction).await?;
        Ok(())
    }
}

/// Returns the column, or `instead` if the column is later than `at`. A hub whose clock was ahead may have written
/// it, and current events must not look older until that time has passed.
fn no_later(column: Column, at: Time, instead: Time) -> SimpleExpr {
    CaseStatement::new()
        .case(Expr::col(column).gt(at), Expr::value(instead))
        .finally(Expr::col(column))
        .into()
}
