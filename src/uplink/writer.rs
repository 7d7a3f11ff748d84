//! Group commit: all waiting messages are written in one transaction and answered after it commits.
//! There is no timer: while one batch is being written, the next one accumulates.

use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use crate::{
    batch,
    delivery::Handle,
    error::{Error, Result},
    metrics::{self, Metrics},
    store::{
        Store,
        uplink_batch::{Message, Outcome, Recorded},
    },
    traces,
};

/// Name in the log.
const NAME: &str = "writer";
/// Maximum number of messages in one transaction.
const BATCH_MAX: usize = 512;

/// Handle that queues messages for writing.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    metrics: Metrics,
}

/// A message with the channel for its outcome.
pub struct Job {
    /// Message to write.
    pub message: Message,
    /// Receives the outcome.
    pub done: oneshot::Sender<Result<Outcome>>,
    /// Its span, which lasts until the message is written.
    pub span: Span,
}

impl Writer {
    /// Creates a writer and the receiver for [`run`]. At most `queue_max` messages may be queued.
    pub fn new(queue_max: usize, metrics: Metrics) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, waiting) = mpsc::channel(queue_max);
        (Self { jobs, metrics }, waiting)
    }

    /// Writes a message. It is on disk when this returns [`Outcome::Recorded`].
    pub async fn write(&self, message: Message) -> Result<Outcome> {
        let (done, outcome) = oneshot::channel();
        let job = Job {
            message,
            done,
            span: traces::commit(),
        };
        // Before the message is queued: the batch that takes it must not subtract it first.
        self.metrics.uplinks.queue.inc();
        self.jobs
            .try_send(job)
            .inspect_err(|_| self.metrics.uplinks.queue.dec())
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    Error::overloaded("too many uplinks are waiting to be written")
                }
                mpsc::error::TrySendError::Closed(_) => Error::shutting_down(),
            })?;
        // The sender is dropped without an answer only if the writer panicked on this batch.
        outcome
            .await
            .map_err(|_| Error::internal("the batch of this message broke"))?
    }
}

/// Writes batches until every [`Writer`] is dropped and the queue is empty.
pub async fn run(store: Store, mut waiting: mpsc::Receiver<Job>, wake: Handle, metrics: Metrics) {
    let write = |jobs| write_batch(&store, &wake, &metrics, jobs);
    batch::each(NAME, &mut waiting, BATCH_MAX, write).await;
}

async fn write_batch(store: &Store, wake: &Handle, metrics: &Metrics, jobs: Vec<Job>) {
    metrics.uplinks.queue.sub(metrics::whole(jobs.len()));
    let began = Instant::now();
    let (messages, waiting): (Vec<_>, Vec<_>) = jobs
        .into_iter()
        .map(|job| (job.message, (job.done, job.span)))
        .unzip();
    let Recorded { outcomes, queued } = store.record(&messages).await;
    let writer = metrics::Writer::Uplinks;
    metrics
        .batches
        .note(writer, messages.len(), began.elapsed());
    for ((_, span), outcome) in waiting.iter().zip(&outcomes) {
        traces::note_batch(span, messages.len(), outcome.is_err());
        if let Ok(Outcome::Uplink(id)) = outcome {
            wake.origins.remember(*id, span);
        }
    }
    wake.queued(queued);
    for ((done, _span), outcome) in waiting.into_iter().zip(outcomes) {
        // The caller may have been cancelled; the message is written all the same.
        let _ = done.send(outcome);
    }
}
