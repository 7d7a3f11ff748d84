//! Keeps the queue of an integration within its bounds, in chunks that alternate with sending.

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

/// Minimum time between two checks of the queue.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A check counts the queue; it may take at most one part in this many of the total time.
const LOOK_SHARE: u32 = 100;
/// Pause between two chunks.
const BREATH: Duration = Duration::from_millis(50);

/// Progress of giving up deliveries beyond the bounds.
pub struct GivingUp {
    /// Time of the next check.
    look_at: Instant,
    /// Time of the next chunk.
    go_on_at: Instant,
    /// Deliveries that are being given up.
    excess: Option<Excess>,
    /// Number of deliveries given up so far.
    given_up: u64,
}

impl GivingUp {
    /// Creates the initial state, with an immediate check.
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

    /// Gives up a chunk of the deliveries beyond the bounds if it is time to; returns their number. `held`
    /// are the deliveries that the lane holds.
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
                // The other bound may be exceeded as well.
                self.look_at = Instant::now();
            }
            self.excess = None;
            self.given_up = 0;
        }
        Ok(count)
    }
}
