//! Group commit for attempts: whatever has ended is written down in one transaction, whichever
//! integration it belongs to. Nobody waits for a timer: while one batch is on its way to disk, the next
//! one gathers.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::{
    batch,
    error::{Error, Result},
    id::IntegrationId,
    store::{Store, deliveries::settle::Settled},
};

/// Attempts in one transaction.
const BATCH_MAX: usize = 512;
/// Attempts that may wait; beyond, lanes wait.
const WAITING_MAX: usize = 4096;
/// How long to wait when the database is away.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a batch is tried again then: a hub that stops must come to its end.
const TRIES_MAX: usize = 60;

/// Where attempts go that have come to their end.
#[derive(Clone)]
pub struct Settler {
    ended: mpsc::Sender<Job>,
}

struct Job {
    settled: Settled,
    done: oneshot::Sender<bool>,
}

impl Settler {
    /// Settles until it is dropped.
    pub fn start(store: Store) -> Self {
        let (ended, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(run(store, waiting));
        Self { ended }
    }

    /// Ends when the attempt is written down, or never will be: then its delivery is sent again.
    /// Answers whether the integration has been paused for it.
    pub async fn settle(&self, settled: Settled) -> bool {
        let (done, is_done) = oneshot::channel();
        match self.ended.send(Job { settled, done }).await {
            Ok(()) => is_done.await.unwrap_or(false),
            Err(_) => false,
        }
    }
}

async fn run(store: Store, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH_MAX);
    while batch::take(&mut waiting, &mut jobs, BATCH_MAX).await > 0 {
        let (settled, done): (Vec<_>, Vec<_>) =
            jobs.drain(..).map(|job| (job.settled, job.done)).unzip();
        let integrations: Vec<IntegrationId> =
            settled.iter().map(|settled| settled.integration).collect();
        let paused = match settle(&store, &settled).await {
            Ok(paused) => paused,
            Err(error) => {
                // One attempt may be at fault: alone, the others need not suffer.
                tracing::warn!("attempts are settled one by one: {}", error.causes());
                settle_each(&store, &settled).await
            }
        };
        for (done, integration) in done.into_iter().zip(integrations) {
            // A lane that has ended does not wait.
            let _ = done.send(paused.contains(&integration));
        }
    }
}

async fn settle_each(store: &Store, settled: &[Settled]) -> Vec<IntegrationId> {
    let mut paused = Vec::new();
    for one in settled.chunks(1) {
        match settle(store, one).await {
            Ok(found) => paused.extend(found),
            Err(error) => {
                let (id, cause) = (one[0].delivery.id, error.causes());
                tracing::error!(delivery.id = %id, cause, "an attempt is not settled");
            }
        }
    }
    paused
}

/// Settles a batch; waits for a database that is away.
async fn settle(store: &Store, settled: &[Settled]) -> Result<Vec<IntegrationId>> {
    let mut tries = 0;
    loop {
        match store.settle(settled).await {
            Err(error @ Error::Unavailable { .. }) if tries < TRIES_MAX => {
                tries += 1;
                tracing::warn!("attempts wait to be settled: {}", error.causes());
                tokio::time::sleep(PAUSE).await;
            }
            Ok(paused) => {
                for integration in &paused {
                    tracing::warn!(
                        integration.id = integration.0,
                        "paused: it fails for too long"
                    );
                }
                return Ok(paused);
            }
            Err(error) => return Err(error),
        }
    }
}
