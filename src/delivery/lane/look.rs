//! Reads the lane's state from the database: the lease, the integration and its due deliveries.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::{AHEAD_MAX, AHEAD_MIN, FOLLOWED, IDLE_MAX, LEASE, Next, RENEW_EVERY, Run, is_over};
use crate::{
    delivery::{
        breaker::{Admission, Breaker},
        rules::{Rules, bounds},
    },
    error::Result,
    metrics::Lease,
    store::{
        deliveries::{lease, queue},
        integrations::{self, followed},
    },
};

impl Run {
    /// Renews the lease, and reads the integration and its due deliveries.
    pub(super) async fn prepare<T>(&mut self, settling: &FuturesUnordered<T>) -> Result<Next> {
        let now = Instant::now();
        if now >= self.renewed_at + RENEW_EVERY {
            let (lane, hub) = (&self.lane, self.lane.hub);
            if !lease::hold(&lane.scope, lane.integration, hub, LEASE).await? {
                self.lease = None;
                return Ok(Next::StandBy);
            }
            let deliveries = &lane.metrics.deliveries;
            self.lease
                .get_or_insert_with(|| deliveries.hold(Lease::Integration));
            self.renewed_at = now;
            self.check_at = now;
        }
        if self.ends_at.is_some() {
            return Ok(Next::End);
        }
        let (lane, bounds) = (&self.lane, bounds(&self.lane.config));
        let held = self.held.keys().copied();
        let given_up = self
            .giving_up
            .go_on(&lane.scope, lane.integration, &bounds, held)
            .await?;
        self.lane.metrics.deliveries.count_given_up(given_up);
        // Later deliveries of the same devices may be sent now.
        self.may_have_more |= given_up > 0;
        if now >= self.check_at {
            let next = self.read_integration(now).await?;
            if !matches!(next, Next::Go) {
                return Ok(next);
            }
        }
        if self.target.is_none() {
            return Ok(Next::End);
        }
        let wants = self.ready.len() < self.rules.concurrency;
        let is_time = self.may_have_more || now >= self.look_at;
        if wants && is_time && !matches!(self.breaker.admits(now), Admission::Closed(_)) {
            // Reads the integration first, because nothing may be sent once it is paused.
            if self.checked_at != now {
                let next = self.read_integration(now).await?;
                if !matches!(next, Next::Go) {
                    return Ok(next);
                }
            }
            self.read_due().await?;
        }
        if !self.held.is_empty() || !settling.is_empty() {
            self.busy_at = now;
        }
        Ok(match is_over(self.busy_at, self.breaker.admits(now), now) {
            true => Next::End,
            false => Next::Go,
        })
    }

    /// Reads the integration; returns `End` if it was deleted, disabled or paused.
    async fn read_integration(&mut self, now: Instant) -> Result<Next> {
        let scope = &self.lane.scope;
        let found = integrations::find(scope, self.lane.integration).await?;
        self.checked_at = now;
        self.check_at = now + RENEW_EVERY;
        let runs = |found: &integrations::Integration| {
            found.provisioned.enabled && found.health.paused_at.is_none()
        };
        let Some(found) = found.filter(runs) else {
            self.target = None;
            return Ok(Next::End);
        };
        if found.provisioned.kind == FOLLOWED {
            // Clients fetch these deliveries themselves, so only old ones are given up.
            let keep = self.lane.config.stream_backlog_max;
            followed::bury_old(scope, found.id, keep).await?;
            self.target = None;
            return Ok(Next::StandBy);
        }
        let known = self.target.as_ref();
        let is_known = known.is_some_and(|(revision, _)| *revision == found.revision);
        let is_open = known.is_some_and(|(_, target)| !target.is_unopened());
        if !(is_known && is_open) {
            let (sender, vault) = (&self.lane.sender, &self.lane.vault);
            let target = sender.target(scope.tenant(), &found, vault)?;
            // A target that still cannot be decrypted keeps its rules and breaker.
            if !is_known || !target.is_unopened() {
                self.rules = Rules::of(&self.lane.config, &found.provisioned.delivery);
                self.breaker = Breaker::default();
            }
            self.target = Some((found.revision, target));
        }
        Ok(Next::Go)
    }

    async fn read_due(&mut self) -> Result<()> {
        let (scope, integration) = (&self.lane.scope, self.lane.integration);
        // Deliveries that are queued from now on come with a notification.
        self.may_have_more = false;
        self.lane.inbox.open();
        let held = self.held.keys().copied().collect();
        let limit = self.ahead.max(self.rules.concurrency);
        let (found, is_full) = queue::due(scope, integration, held, limit as u64)
            .await
            .inspect_err(|_| self.may_have_more = true)?;
        let mut skipped = 0;
        for delivery in found {
            // A delivery that was queued again may be older than one in progress of the same device, and waits for
            // it.
            let device = delivery.ordered.then(|| delivery.device_id.clone());
            let is_busy = device.is_some() && self.held.values().any(|busy| *busy == device);
            if is_busy {
                skipped += 1;
            } else {
                self.held.insert(delivery.id, device);
                self.ready.push_back(delivery);
            }
        }
        // If all of them wait for attempts in progress, the end of these triggers the next read.
        self.may_have_more |= is_full && (skipped == 0 || !self.ready.is_empty());
        if self.may_have_more {
            self.lane.inbox.close();
        }
        if !is_full {
            let next = queue::next_due(scope, integration).await?;
            let wait = next.and_then(|due| (due - scope.now()).to_std().ok());
            let wait = wait.unwrap_or(IDLE_MAX).min(IDLE_MAX);
            self.look_at = Instant::now() + wait.max(Duration::from_millis(5));
        }
        // Prefetches about as many deliveries as are sent in a second, so that none stays here for long.
        self.ahead = match is_full && self.ready.len() >= self.ahead / 2 {
            true => (self.ahead * 2).min(AHEAD_MAX),
            false => self.ahead.max(AHEAD_MIN),
        };
        Ok(())
    }
}
