//! Idempotency keys of requests, and the answers to replay.
//!
//! A request claims its key before it does anything, and its first transaction records that it has made a change. If
//! a hub dies while it handles a request, the key becomes free again if nothing was changed; otherwise the request
//! is never run again.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, OnConflict, Query, SimpleExpr},
};

use super::{
    clearing::{self, Cleared},
    gather::padded,
    transaction::DatabaseTransaction,
};
use crate::{
    clock::Time,
    error::Result,
    store::{
        core::{handle::Store, scope::Scope},
        entities::idempotency_key::{Column, Entity},
    },
};

/// Time for which a key is remembered.
pub(in crate::store) const REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// Time for which a claim holds on a shared database unless renewed. Claims on a file end with the hub that has it
/// open.
const CLAIM: Duration = Duration::from_secs(20);
/// Interval at which a claim is renewed.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);

/// Returns the row identity that a sealed answer is bound to.
pub fn row(key_hash: &[u8]) -> String {
    hex::encode(key_hash)
}

/// State of an idempotency key.
pub enum Known {
    /// The key was unknown or free; it is claimed now and the request may run.
    New,
    /// The key belongs to a different request.
    Other,
    /// The request is running.
    Running,
    /// The request has changed something, but its answer is lost.
    Unanswered,
    /// The request was answered with this sealed answer.
    Answered(Vec<u8>),
}

/// Stored claim of a key.
#[derive(FromQueryResult)]
struct Claim {
    request_hash: Vec<u8>,
    /// Sealed answer; `None` until the request is answered.
    answer: Option<Vec<u8>>,
    /// True if the request has changed something.
    is_done: bool,
    /// True if no hub is working on the request.
    is_free: bool,
}

/// Claims a key for a request, unless it is taken.
pub async fn take(scope: &Scope, key_hash: &[u8; 32], request_hash: &[u8; 32]) -> Result<Known> {
    let (store, now) = (&scope.store, scope.now());
    let writer = &store.inner.writer;
    let column = |column: Column| Expr::col((Entity, column));
    let is_forgotten = column(Column::CreatedAt).lt(now - REMEMBERED);
    let is_left = column(Column::Answer)
        .is_null()
        .and(column(Column::IsDone).eq(false))
        .and(is_free(store));
    let claim = OnConflict::column(Column::KeyHash)
        .update_columns([
            Column::RequestHash,
            Column::CreatedAt,
            Column::Answer,
            Column::HeldUntil,
            Column::IsDone,
        ])
        .action_and_where(is_forgotten.or(is_left))
        .to_owned();
    let insert = Query::insert()
        .into_table(Entity)
        .columns([
            Column::TenantId,
            Column::KeyHash,
            Column::RequestHash,
            Column::CreatedAt,
            Column::HeldUntil,
        ])
        .values_panic([
            Expr::value(scope.tenant.0),
            Expr::value(key_hash.to_vec()),
            Expr::value(request_hash.to_vec()),
            Expr::value(now),
            store.after(CLAIM),
        ])
        .on_conflict(claim)
        .to_owned();
    if writer.execute(&insert).await?.rows_affected() == 1 {
        return Ok(Known::New);
    }
    let found = scope
        .find::<Entity>()
        .filter(Column::KeyHash.eq(key_hash.to_vec()))
        .select_only()
        .columns([Column::RequestHash, Column::Answer, Column::IsDone])
        .expr_as(is_free(store), "is_free")
        .into_model::<Claim>()
        .one(writer)
        .await?;
    Ok(match found {
        // The key was deleted between the two statements.
        None => Known::Running,
        Some(claim) if claim.request_hash != request_hash => Known::Other,
        Some(Claim {
            answer: Some(answer),
            ..
        }) => Known::Answered(answer),
        Some(claim) if claim.is_done && claim.is_free => Known::Unanswered,
        Some(_) => Known::Running,
    })
}

/// Returns the condition that no hub is working on the request of a key.
fn is_free(store: &Store) -> SimpleExpr {
    let held_until = || Expr::col((Entity, Column::HeldUntil));
    match store.is_shared() {
        true => held_until()
            .is_null()
            .or(held_until().lt(store.after(Duration::ZERO))),
        false => held_until().is_null(),
    }
}

/// Extends a claim by its full duration from now.
pub async fn renew(scope: &Scope, key_hash: &[u8; 32]) -> Result<()> {
    if scope.store.is_shared() {
        scope
            .update::<Entity>()
            .col_expr(Column::HeldUntil, scope.store.after(CLAIM))
            .filter(Column::KeyHash.eq(key_hash.to_vec()))
            .filter(Column::Answer.is_null())
            .exec(&scope.store.inner.writer)
            .await?;
    }
    Ok(())
}

/// Stores the answer for repeated requests.
pub async fn answer(scope: &Scope, key_hash: &[u8; 32], answer: Vec<u8>) -> Result<()> {
    scope
        .update::<Entity>()
        .col_expr(Column::Answer, Expr::value(answer))
        .col_expr(Column::HeldUntil, Expr::value(None::<Time>))
        .filter(Column::KeyHash.eq(key_hash.to_vec()))
        .exec(&scope.store.inner.writer)
        .await?;
    Ok(())
}

/// Releases a key whose request has no answer worth keeping. If the request changed nothing, it may be tried again.
pub async fn leave(scope: &Scope, key_hash: &[u8; 32]) -> Result<()> {
    scope
        .update::<Entity>()
        .col_expr(Column::HeldUntil, Expr::value(None::<Time>))
        .filter(Column::KeyHash.eq(key_hash.to_vec()))
        .filter(Column::Answer.is_null())
        .exec(&scope.store.inner.writer)
        .await?;
    Ok(())
}

impl Scope {
    /// Records that the request with the claimed key, if any, has changed something.
    pub(in crate::store) async fn note_done(
        &self,
        transaction: &DatabaseTransaction,
    ) -> Result<()> {
        if let Some(key_hash) = self.claim {
            self.update::<Entity>()
                .col_expr(Column::IsDone, Expr::value(true))
                .filter(Column::KeyHash.eq(key_hash.to_vec()))
                .exec(transaction)
                .await?;
        }
        Ok(())
    }
}

impl Store {
    /// Frees the keys of requests that the previous hub on this file left unfinished.
    pub(in crate::store) async fn free_claims(&self) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::HeldUntil, Expr::value(None::<Time>))
            .filter(Column::HeldUntil.is_not_null())
            .exec(&self.inner.writer)
            .await?;
        Ok(())
    }

    /// Deletes a chunk of expired keys.
    pub(in crate::store) async fn forget_keys(&self, now: Time, limit: u64) -> Result<Cleared> {
        let before = now - REMEMBERED;
        let (which, order) = (Column::CreatedAt.lt(before), [Column::CreatedAt]);
        let reader = &self.inner.reader;
        let old: Vec<Vec<u8>> =
            clearing::first::<Entity, _>(reader, Column::KeyHash, which, &order, limit).await?;
        if old.is_empty() {
            return Ok(Cleared::NONE);
        }
        let (is_more, begun) = (old.len() as u64 >= limit, Instant::now());
        // Keys that were claimed again in the meantime stay.
        let forgotten = Entity::delete_many()
            .filter(Column::KeyHash.is_in(padded(old)))
            .filter(Column::CreatedAt.lt(before))
            .exec(&self.inner.writer)
            .await?;
        Ok(Cleared {
            is_more,
            rows: forgotten.rows_affected,
            held: begun.elapsed(),
        })
    }
}
