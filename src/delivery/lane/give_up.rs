//! Keeps the queue of an integration within its bounds, some deliveries at a time, beside what is sent
//! and what comes in.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    error::Result,
    id::IntegrationId,
    store::{
        Scope,
        deliveries::give_up::{self, Bounds, Excess},
    },
};

/// Time between two looks at the queue.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A look counts along the queue, and takes at most this part of all time.
const LOOK_SHARE: u32 = 100;
/// Time that others have between two chunks.
const BREATH: Duration = Duration::from_millis(50);

/// State of the work on deliveries beyond the bounds.
pub struct GivingUp {
    /// Time of the next look.
    look_at: Instant,
    /// Time of the next chunk.
    go_on_at: Instant,
    /// Deliveries that are being given up.
    excess: Option<Excess>,
    /// Number of them that were.
    given_up: u64,
}

impl GivingUp {
    /// Nothing is known yet.
    pub fn new(now: Instant) -> Self {
        Self {
            look_at: now,
            go_on_at: now,
            excess: None,
            given_up: 0,
        }
    }

    /// Time of the next chunk, if there is more to give up.
    pub fn goes_on_at(&self) -> Option<Instant> {
        self.excess.as_ref().map(|_| self.go_on_at)
    }

    /// Gives up a chunk of what is beyond the bounds, if it is time to; answers how many. The lane holds those
    /// that are `held`.
    pub async fn go_on(
        &mut self,
        scope: &Scope,
        integration: IntegrationId,
        bounds: &Bounds,
        held: impl Iterator<Item = Uuid>,
    ) -> Result<u64> {
        let now = Instant::now();
        if self.excess.is_none() && now >= self.look_at {
            self.excess = give_up::find(scope, integration, bounds).await?;
            self.look_at = Instant::now() + LOOK_EVERY.max(now.elapsed() * LOOK_SHARE);
        }
        let Some(excess) = self.excess.as_ref().filter(|_| now >= self.go_on_at) else {
            return Ok(0);
        };
        let held: BTreeSet<_> = held.collect();
        let (count, has_more) = give_up::chunk(scope, integration, excess, &held).await?;
        self.given_up += count;
        self.go_on_at = Instant::now() + BREATH;
        if !has_more {
            if self.given_up > 0 {
                tracing::warn!(
                    integration.id = integration.0,
                    deliveries = self.given_up,
                    "deliveries were given up: too many wait, or they have waited for too long"
                );
                // There are two bounds.
                self.look_at = Instant::now();
            }
            self.excess = None;
            self.given_up = 0;
        }
        Ok(count)
    }
}
