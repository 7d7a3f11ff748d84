//! Group commit: whatever is waiting is written in one transaction, and only then do the answers
//! go. Nobody waits for a timer: while one batch is on its way to disk, the next one gathers.

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

/// Its name in the log.
const NAME: &str = "writer";
/// Messages in one transaction.
const BATCH_MAX: usize = 512;

/// Where messages go to be written.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
}

/// A message and who waits for it.
pub struct Job {
    /// What to write.
    pub message: Message,
    /// Who waits.
    pub done: oneshot::Sender<Result<Outcome>>,
}

impl Writer {
    /// A writer and the jobs for [`run`]; `queue_max` may wait.
    pub fn new(queue_max: usize) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, waiting) = mpsc::channel(queue_max);
        (Self { jobs }, waiting)
    }

    /// Writes a message; it is on disk when this answers [`Outcome::Recorded`].
    pub async fn write(&self, message: Message) -> Result<Outcome> {
        let (done, outcome) = oneshot::channel();
        self.jobs
            .try_send(Job { message, done })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    Error::overloaded("too many uplinks are waiting to be written")
                }
                mpsc::error::TrySendError::Closed(_) => {
                    Error::overloaded("the hub is shutting down")
                }
            })?;
        // Nobody goes away without an answer but those of a batch over which the writer broke.
        outcome
            .await
            .map_err(|_| Error::internal("the batch of this message broke"))?
    }
}

/// Writes batches until every [`Writer`] is gone and nothing waits.
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
        // Who waited may have gone away; the message is written all the same.
        let _ = done.send(outcome);
    }
}
