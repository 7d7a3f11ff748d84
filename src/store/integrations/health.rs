//! Health of integrations, counted when attempts are settled, so that reads need not count.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect,
    sea_query::Expr,
};
use serde_json::json;

use crate::{
    clock::Time,
    error::{Error, Result},
    id::IntegrationId,
    store::{
        core::{audit::subject, rows::check_found, scope::Scope, transaction::DatabaseTransaction},
        entities::integration_health::{self, Column},
    },
};

/// Health state of an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// The last attempt succeeded.
    Ok,
    /// The last attempt failed.
    Failing,
    /// Deliveries are paused until the integration is resumed.
    Paused,
    /// Nothing has been sent yet.
    NeverSent,
}

/// Health of an integration; counts cover the time since its creation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Number of deliveries that the target accepted.
    pub delivered: i64,
    /// Number of failed attempts.
    pub failed: i64,
    /// Number of dead letters: deliveries whose every attempt failed, or that were given up.
    pub dead: i64,
    /// Number of deliveries given up because too many waited, or for too long.
    pub given_up: i64,
    /// Time of the last accepted delivery.
    pub last_delivered_at: Option<Time>,
    /// Time of the last failed attempt.
    pub last_failed_at: Option<Time>,
    /// HTTP status of the last failure, if there was a response.
    pub last_status: Option<i32>,
    /// Error of the last failure.
    pub last_error: Option<String>,
    /// Time since which every attempt has failed.
    pub failing_since: Option<Time>,
    /// Time since which deliveries are paused.
    pub paused_at: Option<Time>,
    /// Reason of the pause.
    pub pause_reason: Option<String>,
}

impl Health {
    /// Returns the health state.
    pub fn state(&self) -> HealthState {
        match self {
            Health {
                paused_at: Some(_), ..
            } => HealthState::Paused,
            Health {
                failing_since: Some(_),
                ..
            } => HealthState::Failing,
            Health {
                last_delivered_at: Some(_),
                ..
            } => HealthState::Ok,
            _ => HealthState::NeverSent,
        }
    }
}

impl HealthState {
    /// Returns the condition for integrations in this health state.
    pub(in crate::store) fn condition(self) -> Condition {
        let runs = Condition::all().add(Column::PausedAt.is_null());
        match self {
            HealthState::Paused => runs.not(),
            HealthState::Failing => runs.add(Column::FailingSince.is_not_null()),
            HealthState::Ok => runs
                .add(Column::FailingSince.is_null())
                .add(Column::LastDeliveredAt.is_not_null()),
            HealthState::NeverSent => runs
                .add(Column::FailingSince.is_null())
                .add(Column::LastDeliveredAt.is_null()),
        }
    }
}

/// Adds the health row of a new integration.
pub(in crate::store) async fn insert(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    integration: i64,
) -> Result<()> {
    integration_health::Entity::insert(integration_health::ActiveModel {
        tenant_id: Set(scope.tenant.0),
        integration_id: Set(integration),
        delivered: Set(0),
        failed: Set(0),
        dead: Set(0),
        given_up: Set(0),
        ..Default::default()
    })
    .exec_without_returning(transaction)
    .await?;
    Ok(())
}

/// Pauses deliveries. If they are paused already, the time and reason stay.
pub async fn pause(scope: &Scope, id: IntegrationId, reason: &str) -> Result<()> {
    change(scope, id, Some(reason)).await
}

/// Resumes deliveries, and resets the duration of failure.
pub async fn resume(scope: &Scope, id: IntegrationId) -> Result<()> {
    change(scope, id, None).await
}

async fn change(scope: &Scope, id: IntegrationId, reason: Option<&str>) -> Result<()> {
    let paused_at = reason.map(|_| scope.now());
    scope
        .record(async |transaction| {
            let before = scope
                .find::<integration_health::Entity>()
                .filter(Column::IntegrationId.eq(id.0))
                .lock_exclusive()
                .one(&*transaction)
                .await?
                .ok_or_else(|| Error::missing("integration", id))?;
            if reason.is_some() && before.paused_at.is_some() {
                return Ok(());
            }
            let mut update = scope
                .update::<integration_health::Entity>()
                .col_expr(Column::PausedAt, Expr::value(paused_at))
                .col_expr(
                    Column::PauseReason,
                    Expr::value(reason.map(ToOwned::to_owned)),
                )
                .filter(Column::IntegrationId.eq(id.0));
            if reason.is_none() {
                update = update.col_expr(Column::FailingSince, Expr::value(None::<Time>));
            }
            let changed = update.exec(&*transaction).await?;
            check_found(changed.rows_affected, || Error::missing("integration", id))?;
            scope
                .note_changed(
                    &transaction,
                    subject("integrations", id),
                    &json!({"paused": before.pause_reason}),
                    &json!({"paused": reason}),
                )
                .await
        })
        .await
}

impl From<integration_health::Model> for Health {
    fn from(model: integration_health::Model) -> Self {
        Self {
            delivered: model.delivered,
            failed: model.failed,
            dead: model.dead,
            given_up: model.given_up,
            last_delivered_at: model.last_delivered_at,
            last_failed_at: model.last_failed_at,
            last_status: model.last_status,
            last_error: model.last_error,
            failing_since: model.failing_since,
            paused_at: model.paused_at,
            pause_reason: model.pause_reason,
        }
    }
}
