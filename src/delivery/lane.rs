//! The lane of one integration: claims what is due, sends a few at a time, settles each.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    schedule,
    targets::{Sender, Target},
};
use crate::{
    clock,
    config::Config,
    error::Result,
    id::IntegrationId,
    secret::Vault,
    store::{
        Scope,
        deliveries::{self, Attempt, Delivery},
        followed, integrations,
    },
};

/// The type of target that is followed.
const FOLLOWED: &str = "websocket";
/// How long a lane waits when the database fails it.
pub const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// How often an idle lane looks by itself, for what another hub on the database has queued.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// What a claim outlives the longest attempt by, to settle it.
const LEASE_MARGIN_S: u64 = 15;

/// One integration's way out.
pub struct Lane {
    pub scope: Scope,
    pub integration: IntegrationId,
    pub sender: Sender,
    pub vault: Vault,
    pub config: Arc<Config>,
    pub notify: Arc<Notify>,
    pub stop: CancellationToken,
}

enum Next {
    /// Look for more at once.
    Look,
    /// The integration is gone or switched off, or the hub stops.
    End,
}

impl Lane {
    /// Runs until the integration is gone or switched off, or the hub stops.
    pub async fn run(self) {
        let lane = Arc::new(self);
        let mut sending = JoinSet::new();
        loop {
            match lane.step(&mut sending).await {
                Ok(Next::Look) => {}
                Ok(Next::End) => break,
                Err(error) => {
                    tracing::warn!(
                        integration.id = lane.integration.0,
                        "the lane waits for the database: {error}"
                    );
                    tokio::select! {
                        () = lane.stop.cancelled() => break,
                        () = sleep(PAUSE_AFTER_ERROR) => {}
                    }
                }
            }
        }
        while sending.join_next().await.is_some() {}
    }

    /// Claims and starts what is due, then waits until looking again makes sense.
    async fn step(self: &Arc<Self>, sending: &mut JoinSet<()>) -> Result<Next> {
        let integration = integrations::find(&self.scope, self.integration).await?;
        let Some(integration) = integration.filter(|integration| integration.provisioned.enabled)
        else {
            return Ok(Next::End);
        };
        if integration.provisioned.kind == FOLLOWED {
            return self.keep_few().await;
        }
        let target = self
            .sender
            .target(self.scope.tenant(), &integration, &self.vault)?;
        let free = self
            .config
            .delivery_concurrency
            .saturating_sub(sending.len());
        let mut claimed = 0;
        if free > 0 && !self.stop.is_cancelled() {
            for delivery in
                deliveries::claim(&self.scope, self.integration, free as u64, self.lease()).await?
            {
                claimed += 1;
                let (lane, target) = (self.clone(), target.clone());
                sending.spawn(async move { lane.deliver(&target, delivery).await });
            }
        }
        if sending.len() >= self.config.delivery_concurrency || (claimed > 0 && claimed == free) {
            return Ok(self.until_one_ends(sending).await);
        }
        let due = deliveries::next_due(&self.scope, self.integration).await?;
        let wait = due.map_or(LOOK_EVERY, |due| {
            (due - clock::now())
                .to_std()
                .unwrap_or_default()
                .min(LOOK_EVERY)
        });
        let again = Instant::now() + wait.max(Duration::from_millis(10));
        tokio::select! {
            () = self.stop.cancelled() => Ok(Next::End),
            () = self.notify.notified() => Ok(Next::Look),
            () = tokio::time::sleep_until(again) => Ok(Next::Look),
            Some(_) = sending.join_next(), if !sending.is_empty() => Ok(Next::Look),
        }
    }

    /// Nothing is sent to those who follow, they fetch it: only what is too old is given up.
    async fn keep_few(&self) -> Result<Next> {
        let keep = self.config.stream_backlog_max;
        followed::bury_old(&self.scope, self.integration, keep).await?;
        tokio::select! {
            () = self.stop.cancelled() => Ok(Next::End),
            () = sleep(LOOK_EVERY) => Ok(Next::End),
        }
    }

    async fn until_one_ends(&self, sending: &mut JoinSet<()>) -> Next {
        tokio::select! {
            () = self.stop.cancelled() => Next::End,
            _ = sending.join_next() => Next::Look,
        }
    }

    fn lease(&self) -> TimeDelta {
        TimeDelta::seconds(
            i64::try_from(self.config.delivery_timeout_s + LEASE_MARGIN_S).unwrap_or(3600),
        )
    }

    async fn deliver(&self, target: &Target, delivery: Delivery) {
        let at = clock::now();
        let answer = target.send(&self.sender, &delivery).await;
        let ended = clock::now();
        let retry_at = answer
            .error
            .as_ref()
            .filter(|_| !answer.is_final)
            .and_then(|_| {
                schedule::retry_at(
                    &self.config.delivery_schedule_s.0,
                    delivery.attempt,
                    answer.retry_after,
                    ended,
                )
            });
        let attempt = Attempt {
            at,
            duration_ms: (ended - at).num_milliseconds(),
            status: answer.status,
            error: answer.error,
            retry_at,
        };
        if let Err(error) = deliveries::settle(&self.scope, &delivery, &attempt).await {
            // Its lease runs out and it is sent again: at least once, not exactly once.
            tracing::warn!(delivery.id = %delivery.id, "an attempt could not be settled: {error}");
        }
    }
}
