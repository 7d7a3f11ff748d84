//! Requests that may be told twice, and what was answered the first time.

use chrono::TimeDelta;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};

use super::{Scope, entities::idempotency_key};
use crate::{clock, error::Result};

/// How long a key is remembered.
pub(super) const REMEMBERED: TimeDelta = TimeDelta::hours(24);

/// What a sealed answer knows its row by.
pub fn row(key_hash: &[u8]) -> String {
    hex::encode(key_hash)
}

/// What is known of a key.
pub enum Known {
    /// Nothing until now: the request may run, and the key is taken.
    New,
    /// It came with another request.
    Other,
    /// Its request runs, or has ended without an answer.
    Running,
    /// Its request was answered so.
    Answered(Vec<u8>),
}

/// Takes a key for a request, unless it is taken.
pub async fn take(scope: &Scope, key_hash: &[u8; 32], request_hash: &[u8; 32]) -> Result<Known> {
    use idempotency_key::Column;
    let writer = &scope.store.inner.writer;
    let now = clock::now();
    scope
        .delete::<idempotency_key::Entity>()
        .filter(Column::CreatedAt.lt(now - REMEMBERED))
        .exec(writer)
        .await?;
    let taken = idempotency_key::Entity::insert(idempotency_key::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        key_hash: Set(key_hash.to_vec()),
        request_hash: Set(request_hash.to_vec()),
        created_at: Set(now),
        answer: Set(None),
    })
    .on_conflict(OnConflict::column(Column::KeyHash).do_nothing().to_owned())
    .exec_without_returning(writer)
    .await?;
    if taken == 1 {
        return Ok(Known::New);
    }
    let found = scope
        .find::<idempotency_key::Entity>()
        .filter(Column::KeyHash.eq(key_hash.to_vec()))
        .one(writer)
        .await?;
    Ok(match found {
        // It was let go between the two statements.
        None => Known::Running,
        Some(known) if known.request_hash != request_hash => Known::Other,
        Some(known) => known.answer.map_or(Known::Running, Known::Answered),
    })
}

/// Keeps the answer for whoever tells the request again.
pub async fn answer(scope: &Scope, key_hash: &[u8; 32], answer: Vec<u8>) -> Result<()> {
    use idempotency_key::Column;
    scope
        .update::<idempotency_key::Entity>()
        .col_expr(Column::Answer, Expr::value(answer))
        .filter(Column::KeyHash.eq(key_hash.to_vec()))
        .exec(&scope.store.inner.writer)
        .await?;
    Ok(())
}

/// Lets a key go: its request has changed nothing and may be tried again.
pub async fn release(scope: &Scope, key_hash: &[u8; 32]) -> Result<()> {
    use idempotency_key::Column;
    scope
        .delete::<idempotency_key::Entity>()
        .filter(Column::KeyHash.eq(key_hash.to_vec()))
        .exec(&scope.store.inner.writer)
        .await?;
    Ok(())
}
