//! Due times of rows that wait in queues.
//!
//! If the clock is set back, `Store::watch` moves due times back, so that no row waits longer than intended. It finds
//! the rows by their `updated_at`, which lies in the future then. Therefore whoever sets `due_at` either sets
//! `updated_at` from the same reading of the clock, or uses [`at_once`].

use sea_orm::{
    IntoSimpleExpr,
    sea_query::{Expr, Func, SimpleExpr},
};

use crate::clock::Time;

/// Due time that makes a row due at once and may leave its `updated_at` as it is: never later than that, because the
/// clock may be set back before the row is taken.
pub(in crate::store) fn at_once(now: Time, updated_at: impl IntoSimpleExpr) -> SimpleExpr {
    Func::least([Expr::value(now), updated_at.into_simple_expr()]).into()
}
