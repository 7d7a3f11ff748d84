//! Keeps the queue of an integration within its bounds, some deliveries at a time, beside what is sent
//! and what comes in.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::Run;
use crate::{
    delivery::bounds,
    error::Result,
    store::deliveries::give_up::{self, Excess},
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
}

impl Run {
    /// Gives up a chunk of what is beyond the bounds, if it is time to.
    pub(super) async fn give_up(&mut self) -> Result<()> {
        let (scope, integration) = (&self.lane.scope, self.lane.integration);
        let giving_up = &mut self.giving_up;
        let now = Instant::now();
        if giving_up.excess.is_none() && now >= giving_up.look_at {
            let bounds = bounds(&self.lane.config);
            giving_up.excess = give_up::find(scope, integration, &bounds).await?;
            giving_up.look_at = Instant::now() + LOOK_EVERY.max(now.elapsed() * LOOK_SHARE);
        }
        let Some(excess) = giving_up
            .excess
            .as_ref()
            .filter(|_| now >= giving_up.go_on_at)
        else {
            return Ok(());
        };
        let held: BTreeSet<_> = self.held.keys().copied().collect();
        let (count, has_more) = give_up::chunk(scope, integration, excess, &held).await?;
        giving_up.given_up += count;
        // Others of their devices may go now.
        self.may_have_more |= count > 0;
        giving_up.go_on_at = Instant::now() + BREATH;
        if !has_more {
            if giving_up.given_up > 0 {
                tracing::warn!(
                    integration.id = integration.0,
                    deliveries = giving_up.given_up,
                    "deliveries were given up: too many wait, or they have waited for too long"
                );
                // There are two bounds.
                giving_up.look_at = Instant::now();
            }
            giving_up.excess = None;
            giving_up.given_up = 0;
        }
        Ok(())
    }
}
