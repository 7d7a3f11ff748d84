//! Group commit for attempts: whatever has ended is written down in one transaction, whichever
//! integration it belongs to. Nobody waits for a timer: while one batch is on its way to disk, the next
//! one gathers.

use std::{collections::HashSet, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    batch::{self, Parts},
    error::{Error, Result},
    id::IntegrationId,
    store::{Store, deliveries::settle::Settled},
    supervise,
};

/// Its name in the log.
const NAME: &str = "settler of attempts";
/// Attempts in one transaction.
const BATCH_MAX: usize = 512;
/// Attempts that may wait; beyond, lanes wait.
const WAITING_MAX: usize = 4096;
/// How long to wait when the database takes nothing.
const PAUSE: Duration = Duration::from_secs(1);

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
    /// Settles until every handle is dropped. However long the database takes nothing, the attempts
    /// wait for it; from `stop` on for so long at most. The task answers how many were not settled.
    pub fn start(
        store: Store,
        stop: CancellationToken,
        longest: Duration,
    ) -> (Self, JoinHandle<usize>) {
        let (ended, waiting) = mpsc::channel(WAITING_MAX);
        let writing = Writing {
            store,
            stop,
            longest,
            stopped_at: None,
            waiting,
        };
        let settling = supervise::spawn(NAME, writing, |writing| writing.run().boxed());
        (Self { ended }, settling)
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

/// What writes attempts down.
struct Writing {
    store: Store,
    stop: CancellationToken,
    longest: Duration,
    /// When it was first seen that the hub stops.
    stopped_at: Option<Instant>,
    waiting: mpsc::Receiver<Job>,
}

impl Writing {
    async fn run(&mut self) -> usize {
        let mut lost = 0;
        let mut jobs = Vec::with_capacity(BATCH_MAX);
        while batch::take(&mut self.waiting, &mut jobs, BATCH_MAX).await > 0 {
            let (settled, done): (Vec<_>, Vec<_>) =
                jobs.drain(..).map(|job| (job.settled, job.done)).unzip();
            let integrations: Vec<IntegrationId> =
                settled.iter().map(|settled| settled.integration).collect();
            let paused = self.settle_all(&settled, &mut lost).await;
            for (done, integration) in done.into_iter().zip(integrations) {
                // A lane that has ended does not wait.
                let _ = done.send(paused.contains(&integration));
            }
        }
        lost
    }

    /// Settles a batch, in parts where it is refused: one attempt may be at fault, and the others need not
    /// suffer, nor wait until each was tried alone.
    async fn settle_all(
        &mut self,
        settled: &[Settled],
        lost: &mut usize,
    ) -> HashSet<IntegrationId> {
        let mut paused = HashSet::new();
        let mut parts = Parts::of(settled);
        while let Some(part) = parts.take() {
            match self.settle(part).await {
                Ok(found) => paused.extend(found),
                Err(Error::Unavailable { .. }) => *lost += part.len(),
                Err(error) => {
                    let cause = error.causes();
                    match parts.halve(part) {
                        None => tracing::warn!(cause, "attempts are settled in parts"),
                        Some(alone) => {
                            let id = alone.delivery.id;
                            tracing::error!(delivery.id = %id, cause, "an attempt is not settled");
                        }
                    }
                }
            }
        }
        paused
    }

    /// Settles a batch; waits for a database that takes nothing.
    async fn settle(&mut self, settled: &[Settled]) -> Result<Vec<IntegrationId>> {
        let mut is_waiting = false;
        loop {
            match supervise::attempted(NAME, self.store.settle(settled)).await {
                Err(error @ Error::Unavailable { .. }) if self.may_wait() => {
                    if !is_waiting {
                        tracing::warn!("attempts wait to be settled: {}", error.causes());
                    }
                    is_waiting = true;
                    sleep(PAUSE).await;
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

    /// Whether another try makes sense: a hub that stops must come to its end.
    fn may_wait(&mut self) -> bool {
        if !self.stop.is_cancelled() {
            return true;
        }
        let stopped_at = *self.stopped_at.get_or_insert_with(Instant::now);
        stopped_at.elapsed() < self.longest
    }
}
