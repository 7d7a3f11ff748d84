//! Requests that may be told twice, and what was answered the first time.
//!
//! A request claims its key before it does anything, and its first transaction notes that it has changed
//! something. So the key of a request that a hub has left half way, as it died, is free again where nothing
//! was changed, and is never done twice where something was.

use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, OnConflict, Query, SimpleExpr},
};

use super::transaction::DatabaseTransaction;
use crate::{
    clock::{self, Time},
    error::Result,
    store::{
        core::{handle::Store, scope::Scope},
        entities::idempotency_key::{Column, Entity},
    },
};

/// How long a key is remembered.
pub(in crate::store) const REMEMBERED: TimeDelta = TimeDelta::hours(24);
/// How long a claim holds where hubs share the database, unless it is renewed. A file is one hub's, whose
/// claims end with it.
const CLAIM: Duration = Duration::from_secs(20);
/// How often a claim is renewed.
pub const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Keys that are forgotten in one statement.
const CHUNK: u64 = 500;

/// What a sealed answer knows its row by.
pub fn row(key_hash: &[u8]) -> String {
    hex::encode(key_hash)
}

/// What is known of a key.
pub enum Known {
    /// Nothing until now: the request may run, and the key is claimed.
    New,
    /// It came with another request.
    Other,
    /// Its request runs.
    Running,
    /// Its request has changed something, and its answer is lost.
    Unanswered,
    /// Its request was answered so.
    Answered(Vec<u8>),
}

/// The claim that stands for a key.
#[derive(FromQueryResult)]
struct Claim {
    request_hash: Vec<u8>,
    /// The sealed answer, once there is one.
    answer: Option<Vec<u8>>,
    /// Whether its request has changed something.
    is_done: bool,
    /// Whether nobody works on it.
    is_free: bool,
}

/// Claims a key for a request, unless it is taken.
pub async fn take(scope: &Scope, key_hash: &[u8; 32], request_hash: &[u8; 32]) -> Result<Known> {
    let (store, now) = (&scope.store, clock::now());
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
        // It was forgotten between the two statements.
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

/// Whether nobody works on the request of a key.
fn is_free(store: &Store) -> SimpleExpr {
    let held_until = || Expr::col((Entity, Column::HeldUntil));
    match store.is_shared() {
        true => held_until()
            .is_null()
            .or(held_until().lt(store.after(Duration::ZERO))),
        false => held_until().is_null(),
    }
}

/// Makes a claim hold for a while from now.
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

/// Keeps the answer for whoever tells the request again.
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

/// Leaves a key whose request has no answer worth keeping: where it has changed nothing, it may be tried
/// again.
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
    /// Notes that the request with the claimed key, where there is one, has changed something.
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
    /// Frees the keys whose requests a hub has left half way that had the database for itself.
    pub(in crate::store) async fn free_claims(&self) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::HeldUntil, Expr::value(None::<Time>))
            .filter(Column::HeldUntil.is_not_null())
            .exec(&self.inner.writer)
            .await?;
        Ok(())
    }

    /// Takes away a chunk of the keys that are remembered no more; answers how many those were.
    pub async fn forget_keys(&self) -> Result<u64> {
        let before = clock::now() - REMEMBERED;
        let old: Vec<Vec<u8>> = Entity::find()
            .filter(Column::CreatedAt.lt(before))
            .limit(CHUNK)
            .select_only()
            .column(Column::KeyHash)
            .into_tuple()
            .all(&self.inner.reader)
            .await?;
        if old.is_empty() {
            return Ok(0);
        }
        // Not those that were claimed again meanwhile.
        let forgotten = Entity::delete_many()
            .filter(Column::KeyHash.is_in(old))
            .filter(Column::CreatedAt.lt(before))
            .exec(&self.inner.writer)
            .await?;
        Ok(forgotten.rows_affected)
    }
}
