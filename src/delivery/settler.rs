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
use uuid::Uuid;

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
    done: oneshot::Sender<Outcome>,
}

/// What became of an attempt that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is written down.
    Settled,
    /// It is written down, and the integration has been paused for it.
    Paused,
    /// It is not written down: in the database its delivery is as it was before.
    Unsettled,
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

    /// Ends when the attempt is written down, or never will be.
    pub async fn settle(&self, settled: Settled) -> Outcome {
        let (done, is_done) = oneshot::channel();
        match self.ended.send(Job { settled, done }).await {
            Ok(()) => is_done.await.unwrap_or(Outcome::Unsettled),
            Err(_) => Outcome::Unsettled,
        }
    }
}

/// What became of a batch.
#[derive(Default)]
struct Found {
    paused: HashSet<IntegrationId>,
    unsettled: HashSet<Uuid>,
    /// How many the database took nothing of until the hub stopped.
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
            let found = self.settle_all(&settled).await;
            lost += found.lost;
            for (done, settled) in done.into_iter().zip(&settled) {
                // A lane that has ended does not wait.
                let _ = done.send(found.outcome(settled));
            }
        }
        lost
    }

    /// Settles a batch, in parts where it is refused: one attempt may be at fault, and the others need not
    /// suffer, nor wait until each was tried alone.
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

    /// Settles an attempt that the database refuses as the last one of its delivery, without any word of the
    /// receiver's: pending, the delivery would be sent again and again, and be refused each time.
    async fn give_up(&mut self, settled: &Settled, cause: &str, found: &mut Found) {
        let id = settled.delivery.id;
        tracing::error!(delivery.id = %id, cause, "a delivery is given up: what came of it cannot be stored");
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
