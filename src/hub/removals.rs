//! Clears away in the background what was deleted, stretch by stretch.
//!
//! One stretch at a time for the whole hub, with a breath in between: uplinks are written meanwhile. When
//! the hub that clears dies, another goes on with it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    id::TenantId,
    jobs::Jobs,
    pace::Pace,
    store::{Store, removals::Kind},
    supervise::attempted,
};

/// What it leaves to others between two stretches.
const BREATH: Duration = Duration::from_millis(50);
/// Rows that one stretch may take, at most.
const ROWS_MAX: u64 = 1024;
/// How long to wait when the database is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Clears away what was deleted.
pub struct Remover {
    jobs: Jobs<Kind>,
    store: Store,
    pace: Pace,
    /// Nobody uses it: what is to be cleared is found, and it may wait a moment.
    _begun: mpsc::UnboundedSender<(TenantId, Kind)>,
}

impl Remover {
    /// One that has cleared nothing yet.
    pub fn new(store: Store) -> Self {
        let (sender, begun) = mpsc::unbounded_channel();
        Self {
            jobs: Jobs::new("removal", store.clone(), begun),
            pace: Pace::new(ROWS_MAX, store.hold_aim()),
            store,
            _begun: sender,
        }
    }

    /// Works until `stop`; a stretch under way comes to its end.
    pub async fn run(&mut self, stop: CancellationToken) {
        let unfinished = || self.store.removals();
        while let Some((tenant, kind)) = self.jobs.next(&stop, unfinished).await {
            let stretch = self.store.clear_removed(kind, self.pace.size());
            let pause = match attempted("removal", stretch).await {
                Ok(cleared) => {
                    self.pace.note(cleared.held);
                    match cleared.is_more {
                        true => self.jobs.put_back(tenant, kind),
                        false => self.jobs.end(kind).await,
                    }
                    BREATH
                }
                Err(error) => {
                    let cause = error.causes();
                    tracing::warn!(%kind, cause, "what was deleted is cleared away later");
                    self.jobs.put_back(tenant, kind);
                    PAUSE
                }
            };
            let _ = tokio::time::timeout(pause, stop.cancelled()).await;
        }
        self.jobs.leave().await;
    }
}
