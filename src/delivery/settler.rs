//! Group commit for attempts: all attempts that have ended are stored in one transaction, across
//! integrations. There is no timer: while one batch is being written, the next one accumulates.

use std::{collections::HashSet, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    batch::{self, Parts},
    error::{Error, Result},
    id::IntegrationId,
    store::{Store, deliveries::settle::Settled},
    supervise,
};

/// Name in the log.
const NAME: &str = "settler of attempts";
/// Maximum number of attempts in one transaction.
const BATCH_MAX: usize = 512;
/// Maximum number of queued attempts; beyond that, lanes wait.
const WAITING_MAX: usize = 4096;
/// Pause when the database is unavailable.
const PAUSE: Duration = Duration::from_secs(1);

/// Handle that queues ended attempts for storage.
#[derive(Clone)]
pub struct Settler {
    ended: mpsc::Sender<Job>,
}

struct Job {
    settled: Settled,
    done: oneshot::Sender<Outcome>,
}

/// Outcome of storing an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The attempt is stored.
    Settled,
    /// The attempt is stored, and the integration was paused because of it.
    Paused,
    /// The attempt is not stored: the delivery is unchanged in the database.
    Unsettled,
}

impl Settler {
    /// Settles until every handle is dropped. While the database is unavailable the attempts wait; after
    /// `stop` for at most `longest`. The task returns the number of attempts that were not stored.
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

    /// Completes when the attempt is stored, or definitely will not be.
    pub async fn settle(&self, settled: Settled) -> Outcome {
        let (done, is_done) = oneshot::channel();
        match self.ended.send(Job { settled, done }).await {
            Ok(()) => is_done.await.unwrap_or(Outcome::Unsettled),
            Err(_) => Outcome::Unsettled,
        }
    }
}

/// Outcome of a batch.
#[derive(Default)]
struct Found {
    paused: HashSet<IntegrationId>,
    unsettled: HashSet<Uuid>,
    /// Number of attempts lost because the database was unavailable until the hub stopped.
    lost: usize,
}

impl Found {
    fn lose(&mut self, part: &[Settled]) {
        self.lost += part.len();
        let ids = part.iter().map(|settled| settled.delivery.id);
        self.unsettled.extend(ids);
    }

    fn outcome(&self, settled: &Settled) -> Outcome {
        if self.unsettled.contains(&settled.delivery.id) {
            Outcome::Unsettled
        } else if self.paused.contains(&settled.integration) {
            Outcome::Paused
        } else {
            Outcome::Settled
        }
    }
}

/// Background task that stores attempts.
struct Writing {
    store: Store,
    stop: CancellationToken,
    longest: Duration,
    /// Time at which the stop was first noticed.
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
            let found = self.settle_all(&settled).await;
            lost += found.lost;
            for (done, settled) in done.into_iter().zip(&settled) {
                // The lane may have ended; then nobody waits.
                let _ = done.send(found.outcome(settled));
            }
        }
        lost
    }

    /// Stores a batch. If the database rejects it, it is halved: a single attempt may be the cause, and the
    /// others should neither fail nor wait until each was tried alone.
    async fn settle_all(&mut self, settled: &[Settled]) -> Found {
        let mut found = Found::default();
        let mut parts = Parts::of(settled);
        while let Some(part) = parts.take() {
            match self.settle(part).await {
                Ok(paused) => found.paused.extend(paused),
                Err(Error::Unavailable { .. }) => found.lose(part),
                Err(error) => {
                    let cause = error.causes();
                    match parts.halve(part) {
                        None => tracing::warn!(cause, "attempts are settled in parts"),
                        Some(alone) => self.give_up(alone, &cause, &mut found).await,
                    }
                }
            }
        }
        found
    }

    /// Stores an attempt that the database rejects as the last one of its delivery, without the receiver's
    /// answer. Otherwise the delivery would stay pending and be sent again and again.
    async fn give_up(&mut self, settled: &Settled, cause: &str, found: &mut Found) {
        let id = settled.delivery.id;
        tracing::error!(delivery.id = %id, cause, "a delivery is given up, because its result cannot be stored");
        match self.settle(&[settled.given_up()]).await {
            Ok(paused) => found.paused.extend(paused),
            Err(error) => {
                let cause = error.causes();
                tracing::error!(delivery.id = %id, cause, "an attempt is not settled");
                found.unsettled.insert(id);
                found.lost += usize::from(matches!(error, Error::Unavailable { .. }));
            }
        }
    }

    /// Stores a batch; waits while the database is unavailable.
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

    /// True if another try is allowed; limited in time while the hub stops.
    fn may_wait(&mut self) -> bool {
        if !self.stop.is_cancelled() {
            return true;
        }
        let stopped_at = *self.stopped_at.get_or_insert_with(Instant::now);
        stopped_at.elapsed() < self.longest
    }
}
