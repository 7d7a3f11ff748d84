//! Group commit: all waiting messages are written in one transaction and answered after it commits.
//! There is no timer: while one batch is being written, the next one accumulates.

use tokio::sync::{mpsc, oneshot};

use crate::{
    batch,
    delivery::Handle,
    error::{Error, Result},
    store::{
        Store,
        uplink_batch::{Message, Outcome, Recorded},
    },
};

/// Name in the log.
const NAME: &str = "writer";
/// Maximum number of messages in one transaction.
const BATCH_MAX: usize = 512;

/// Handle that queues messages for writing.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
}

/// A message with the channel for its outcome.
pub struct Job {
    /// Message to write.
    pub message: Message,
    /// Receives the outcome.
    pub done: oneshot::Sender<Result<Outcome>>,
}

impl Writer {
    /// Creates a writer and the receiver for [`run`]. At most `queue_max` messages may be queued.
    pub fn new(queue_max: usize) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, waiting) = mpsc::channel(queue_max);
        (Self { jobs }, waiting)
    }

    /// Writes a message. It is on disk when this returns [`Outcome::Recorded`].
    pub async fn write(&self, message: Message) -> Result<Outcome> {
        let (done, outcome) = oneshot::channel();
        self.jobs
            .try_send(Job { message, done })
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
pub async fn run(store: Store, mut waiting: mpsc::Receiver<Job>, wake: Handle) {
    let write = |jobs| write_batch(&store, &wake, jobs);
    batch::each(NAME, &mut waiting, BATCH_MAX, write).await;
}

async fn write_batch(store: &Store, wake: &Handle, jobs: Vec<Job>) {
    let (messages, done): (Vec<_>, Vec<_>) =
        jobs.into_iter().map(|job| (job.message, job.done)).unzip();
    let Recorded { outcomes, queued } = store.record(&messages).await;
    wake.queued(queued);
    for (done, outcome) in done.into_iter().zip(outcomes) {
        // The caller may have been cancelled; the message is written all the same.
        let _ = done.send(outcome);
    }
}
