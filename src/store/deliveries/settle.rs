//! Recording of attempts' results: many attempts, of any integrations, in one transaction.

use std::collections::{BTreeMap, HashSet};

use chrono::{SecondsFormat, TimeDelta};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, Statement,
    sea_query::{Expr, ExprTrait, Func},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::entities::{delivery_attempt, integration_health},
    Attempt, Delivery, State, queue,
};
use crate::{
    clock::Time,
    error::Result,
    id::{IntegrationId, TenantId},
    store::core::{
        audit::subject, bulk, handle::Store, scope::Call, storable,
        transaction::DatabaseTransaction,
    },
};

/// Completed attempt.
pub struct Settled {
    /// Tenant of the delivery.
    pub tenant: TenantId,
    /// Integration of the delivery.
    pub integration: IntegrationId,
    /// Delivery that was sent.
    pub delivery: Delivery,
    /// Result of the attempt.
    pub attempt: Attempt,
    /// Beginning of the target's response.
    pub answer: Option<String>,
    /// End of the attempt.
    pub ended_at: Time,
    /// Time of the next attempt after a failure; `None` to give up.
    pub retry_at: Option<Time>,
    /// Duration of failure after which the integration is paused; `None` for never.
    pub pause_after: Option<TimeDelta>,
}

/// The statement is constant, so it is prepared once. PostgreSQL estimates a hundred rows for any JSON and would
/// scan a small table as a whole; the separate list of ids makes it use the index.
const POSTGRES: &str = "UPDATE deliveries SET attempt = s.attempt, state = s.state, \
     due_at = s.due_at, last_status = s.status, last_error = s.error, last_answer = s.answer, \
     updated_at = s.ended_at FROM json_to_recordset($1::json) AS s(id uuid, attempt integer, \
     state text, due_at timestamptz, status integer, error text, answer text, \
     ended_at timestamptz) WHERE deliveries.id = s.id AND deliveries.id = ANY (ARRAY(\
     SELECT CAST(row ->> 'id' AS uuid) FROM json_array_elements($1::json) AS row)) \
     AND deliveries.attempt = s.attempt - 1 AND deliveries.due_at IS NOT NULL RETURNING deliveries.id";
const SQLITE: &str = "UPDATE deliveries SET attempt = s.attempt, state = s.state, \
     due_at = s.due_at, last_status = s.status, last_error = s.error, last_answer = s.answer, \
     updated_at = s.ended_at FROM (SELECT unhex(value ->> 'hex') AS id, \
     value ->> 'attempt' AS attempt, value ->> 'state' AS state, value ->> 'due_at' AS due_at, \
     value ->> 'status' AS status, value ->> 'error' AS error, value ->> 'answer' AS answer, \
     value ->> 'ended_at' AS ended_at FROM json_each($1)) AS s \
     WHERE deliveries.id = s.id AND deliveries.attempt = s.attempt - 1 \
     AND deliveries.due_at IS NOT NULL RETURNING id";

/// Error stored for an attempt whose own result cannot be stored.
const GIVEN_UP: &str = "what came of the attempt could not be stored, and the delivery was given \
     up; the hub's log has the cause";

impl Settled {
    /// Returns the attempt as the delivery's last one, reduced to the fact that it failed.
    pub fn given_up(&self) -> Self {
        let attempt = Attempt {
            status: None,
            error: Some(GIVEN_UP.to_owned()),
            ..self.attempt
        };
        Self {
            delivery: self.delivery.clone(),
            attempt,
            answer: None,
            retry_at: None,
            ..*self
        }
    }

    fn state(&self) -> State {
        match (&self.attempt.error, self.retry_at) {
            (None, _) => State::Delivered,
            (Some(_), Some(_)) => State::Pending,
            (Some(_), None) => State::Dead,
        }
    }

    fn row(&self) -> Value {
        let state = self.state();
        let due_at = self.retry_at.filter(|_| state == State::Pending);
        json!({
            "id": self.delivery.id,
            "hex": self.delivery.id.simple().to_string(),
            "attempt": self.delivery.attempt,
            "state": state.as_str(),
            "due_at": due_at.map(as_stored),
            "status": self.attempt.status,
            "error": self.attempt.error,
            "answer": self.answer,
            "ended_at": as_stored(self.ended_at),
        })
    }
}

/// Formats a time as the drivers of both databases do, because SQLite compares times as text.
fn as_stored(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

impl Store {
    /// Records completed attempts, except those that were superseded. Returns the integrations that were paused as a
    /// result.
    pub async fn settle(&self, attempts: &[Settled]) -> Result<Vec<IntegrationId>> {
        let transaction = self.begin([]).await?;
        let settled = self.write_settled(&transaction, attempts).await;
        transaction.finish(settled).await
    }

    async fn write_settled(
        &self,
        transaction: &DatabaseTransaction,
        attempts: &[Settled],
    ) -> Result<Vec<IntegrationId>> {
        let met = update(transaction, attempts).await?;
        let attempts: Vec<&Settled> = attempts
            .iter()
            .filter(|settled| met.contains(&settled.delivery.id))
            .collect();
        let rows = attempts.iter().map(|settled| attempt_row(settled));
        bulk::insert(transaction, rows.collect(), None).await?;
        // In the order of their keys, so that two hubs cannot deadlock.
        let mut changes: BTreeMap<i64, Change> = BTreeMap::new();
        for settled in &attempts {
            let change = changes.entry(settled.integration.0).or_default();
            change.add(settled);
        }
        let mut paused = Vec::new();
        for (integration, change) in changes {
            if change.apply(self, transaction, integration).await? {
                paused.push(IntegrationId(integration));
            }
        }
        let now = self.now();
        let mut advanced = HashSet::new();
        for settled in attempts {
            let (delivery, integration) = (&settled.delivery, settled.integration.0);
            let is_over = settled.state() != State::Pending;
            if is_over && delivery.ordered && advanced.insert((integration, &delivery.device_id)) {
                queue::advance(transaction, integration, &delivery.device_id, now).await?;
            }
        }
        Ok(paused)
    }
}

async fn update(
    transaction: &DatabaseTransaction,
    attempts: &[Settled],
) -> Result<HashSet<Uuid>, DbErr> {
    let rows: Value = attempts.iter().map(Settled::row).collect();
    let backend = transaction.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => POSTGRES,
        _ => SQLITE,
    };
    let rows = storable::json(rows.to_string());
    let statement = Statement::from_sql_and_values(backend, sql, [rows.into()]);
    let found = transaction.query_all_raw(statement).await?;
    found
        .iter()
        .map(|row| row.try_get_by_index::<Uuid>(0))
        .collect()
}

fn attempt_row(settled: &Settled) -> delivery_attempt::ActiveModel {
    delivery_attempt::ActiveModel {
        tenant_id: Set(settled.tenant.0),
        delivery_id: Set(settled.delivery.id),
        attempt: Set(settled.delivery.attempt),
        at: Set(settled.attempt.at),
        duration_ms: Set(settled.attempt.duration_ms),
        status: Set(settled.attempt.status.map(i32::from)),
        error: Set(settled.attempt.error.clone()),
    }
}

/// Combined effect of a batch of attempts on their integration's health.
#[derive(Default)]
struct Change {
    tenant: Option<TenantId>,
    delivered: i64,
    failed: i64,
    dead: i64,
    last_delivered_at: Option<Time>,
    /// Time, HTTP status and error of the last failure.
    last_failure: Option<(Time, Option<u16>, String)>,
    /// Time of the first failure.
    first_failed_at: Option<Time>,
    pause_after: Option<TimeDelta>,
}

impl Change {
    fn add(&mut self, settled: &Settled) {
        let at = settled.ended_at;
        self.tenant = Some(settled.tenant);
        self.pause_after = settled.pause_after;
        let Some(error) = &settled.attempt.error else {
            self.delivered += 1;
            self.last_delivered_at = Ord::max(self.last_delivered_at, Some(at));
            return;
        };
        self.failed += 1;
        self.dead += i64::from(settled.state() == State::Dead);
        self.first_failed_at = Some(self.first_failed_at.map_or(at, |first| Ord::min(first, at)));
        if self
            .last_failure
            .as_ref()
            .is_none_or(|(last, ..)| *last <= at)
        {
            self.last_failure = Some((at, settled.attempt.status, error.clone()));
        }
    }

    /// Updates the integration's health; returns true if it has failed for too long and is paused now.
    async fn apply(
        self,
        store: &Store,
        transaction: &DatabaseTransaction,
        integration: i64,
    ) -> Result<bool> {
        use integration_health::Column;
        let grown = |column: Column, by: i64| Expr::col(column).add(by);
        let mut update = integration_health::Entity::update_many()
            .filter(Column::IntegrationId.eq(integration))
            .col_expr(Column::Delivered, grown(Column::Delivered, self.delivered))
            .col_expr(Column::Failed, grown(Column::Failed, self.failed))
            .col_expr(Column::Dead, grown(Column::Dead, self.dead));
        if let Some(at) = self.last_delivered_at {
            update = update.col_expr(Column::LastDeliveredAt, Expr::value(at));
        }
        let is_failing = match (&self.last_failure, self.last_delivered_at) {
            (Some((failed, ..)), delivered) => delivered.is_none_or(|at| at < *failed),
            (None, _) => false,
        };
        let since = match (is_failing, self.last_delivered_at) {
            (false, _) => Expr::value(None::<Time>),
            (true, None) => {
                let first = Expr::value(self.first_failed_at);
                Func::coalesce([Expr::col(Column::FailingSince), first]).into()
            }
            // It has been failing since a success in this batch, whose time is close enough.
            (true, Some(at)) => Expr::value(Some(at)),
        };
        update = update.col_expr(Column::FailingSince, since);
        let reason = self.last_failure.as_ref().map(|(.., error)| error.clone());
        if let Some((at, status, error)) = self.last_failure {
            update = update
                .col_expr(Column::LastFailedAt, Expr::value(at))
                .col_expr(Column::LastStatus, Expr::value(status.map(i32::from)))
                .col_expr(Column::LastError, Expr::value(error));
        }
        update.exec(transaction).await?;
        match (is_failing, self.pause_after, self.tenant) {
            (true, Some(after), Some(tenant)) => {
                let reason = reason.unwrap_or_default();
                pause(store, transaction, tenant, integration, after, &reason).await
            }
            _ => Ok(false),
        }
    }
}

/// Pauses an integration that has failed for at least `after`; returns true if it did.
async fn pause(
    store: &Store,
    transaction: &DatabaseTransaction,
    tenant: TenantId,
    integration: i64,
    after: TimeDelta,
    error: &str,
) -> Result<bool> {
    use integration_health::Column;
    let now = store.now();
    let seconds = after.num_seconds();
    let reason = format!("it has failed for {seconds} seconds or more, at last: {error}");
    let paused = integration_health::Entity::update_many()
        .col_expr(Column::PausedAt, Expr::value(now))
        .col_expr(Column::PauseReason, Expr::value(reason.clone()))
        .filter(Column::IntegrationId.eq(integration))
        .filter(Column::PausedAt.is_null())
        .filter(Column::FailingSince.lte(now - after))
        .exec(transaction)
        .await?;
    if paused.rows_affected == 0 {
        return Ok(false);
    }
    let call = Call {
        operation: "pause_integration",
        user: None,
        api_key: None,
        name: "the hub".to_owned(),
        address: None,
        request_id: String::new(),
        revisions: None,
    };
    store
        .scope(tenant)
        .on_behalf(call)
        .note_changed(
            transaction,
            subject("integrations", integration),
            &json!({"paused": null}),
            &json!({"paused": reason}),
        )
        .await?;
    Ok(true)
}
