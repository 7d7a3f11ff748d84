//! Removes deleted rows in the background, chunk by chunk.
//!
//! Only one chunk is removed at a time in the whole hub, with a pause in between, so that uplinks can be
//! written meanwhile. If the hub that removes them ends, another continues.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    id::TenantId,
    jobs::Jobs,
    pace::Pace,
    store::{Store, removals::Kind},
    supervise::attempted,
};

/// Maximum number of rows in a chunk.
const ROWS_MAX: u64 = 1000;
/// Pause after an error, such as an unavailable database.
const PAUSE: Duration = Duration::from_secs(1);

/// Removes deleted rows.
pub struct Remover {
    jobs: Jobs<Kind>,
    store: Store,
    pace: Pace,
    /// Never used: deleted rows are found by polling, and they can wait. It only keeps the channel open.
    _begun: mpsc::UnboundedSender<(TenantId, Kind)>,
}

impl Remover {
    /// Creates a remover.
    pub fn new(store: Store) -> Self {
        let (sender, begun) = mpsc::unbounded_channel();
        Self {
            jobs: Jobs::new("removal", store.clone(), begun),
            pace: Pace::of_deletions(ROWS_MAX),
            store,
            _begun: sender,
        }
    }

    /// Runs until `stop`; a chunk in progress is completed.
    pub async fn run(&mut self, stop: CancellationToken) {
        let unfinished = || self.store.removals();
        while let Some((tenant, kind)) = self.jobs.next(&stop, unfinished).await {
            let begun = Instant::now();
            let stretch = self.store.clear_removed(kind, self.pace.size());
            let pause = match attempted("removal", stretch).await {
                Ok(cleared) => {
                    self.pace.note(cleared.held, self.store.clearing_aim());
                    match cleared.is_more {
                        true => self.jobs.put_back(tenant, kind),
                        false => self.jobs.end(kind).await,
                    }
                    self.store.pause_after(begun.elapsed())
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
