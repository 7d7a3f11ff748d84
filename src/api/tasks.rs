//! Requests that may change something: they come to their end, whether or not whoever sent them still waits.
//!
//! A connection that breaks, or a request whose time is over, drops the future that answers it. What a
//! change brings with it, from its commit to the answer that is kept under an idempotency key, must not be
//! dropped half way: so it runs in a task of its own, and the hub waits for those tasks when it stops.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::error::{Error, Result};

/// Tasks at a time; further requests wait, as long as they are waited for.
const TASKS_MAX: usize = 1024;

/// The tasks of one hub. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    running: TaskTracker,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            running: TaskTracker::new(),
            places: Arc::new(Semaphore::new(TASKS_MAX)),
            stop: CancellationToken::new(),
        }
    }
}

impl Tasks {
    /// Does work that goes on when nobody waits for it any more.
    pub async fn run<F>(&self, work: F) -> Result<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(Error::internal)?;
        let stop = self.stop.clone();
        let task = async move {
            let _place = place;
            stop.run_until_cancelled(work).await
        };
        match self.running.spawn(task.in_current_span()).await {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => Err(Error::overloaded("the hub is shutting down")),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(error) => Err(Error::internal(error)),
            },
        }
    }

    /// Waits for what runs, for so long; what is not done by then is dropped.
    pub async fn end(&self, within: Duration) {
        self.running.close();
        if timeout(within, self.running.wait()).await.is_err() {
            tracing::warn!("{} requests are dropped half way", self.running.len());
            self.stop.cancel();
            self.running.wait().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn},
        pin::pin,
        sync::atomic::{AtomicBool, Ordering},
        task::Poll,
    };

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_without_whoever_asked_for_it() {
        let (tasks, done) = (Tasks::default(), Arc::new(AtomicBool::new(false)));
        let mark = done.clone();
        {
            let mut asked = pin!(tasks.run(async move {
                yield_now().await;
                mark.store(true, Ordering::Relaxed);
            }));
            let first = poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await;
            assert!(first.is_pending());
        }
        assert!(!done.load(Ordering::Relaxed));
        tasks.end(Duration::from_secs(10)).await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn what_does_not_end_is_dropped_at_the_end() {
        let tasks = Tasks::default();
        let asked = tokio::spawn({
            let tasks = tasks.clone();
            async move { tasks.run(pending::<()>()).await }
        });
        while tasks.running.is_empty() {
            yield_now().await;
        }
        tasks.end(Duration::ZERO).await;
        assert!(asked.await.unwrap().is_err());
    }
}
