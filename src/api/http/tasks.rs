//! Tasks for requests that may change something, which run to completion even if the client does not wait.
//!
//! A broken connection or a timeout drops the future that handles the request. The effects of a change, from
//! its commit to the response that is stored under an idempotency key, must not be interrupted: so they run in
//! a task of their own, and the hub waits for these tasks when it stops.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    error::{Error, Result},
    id::TenantId,
    shares::Shares,
};

/// Maximum number of tasks at the same time; further requests wait.
const TASKS_MAX: usize = 1024;
/// Maximum number of running and waiting requests of one tenant. Each may take its time to arrive.
const TENANT_MAX: usize = 512;

/// Tasks of one hub. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    running: TaskTracker,
    places: Arc<Semaphore>,
    tenants: Shares<TenantId>,
    stop: CancellationToken,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            running: TaskTracker::new(),
            places: Arc::new(Semaphore::new(TASKS_MAX)),
            tenants: Shares::new(usize::MAX),
            stop: CancellationToken::new(),
        }
    }
}

impl Tasks {
    /// Runs work of a tenant to its end, even if the caller is dropped.
    pub async fn run<F>(&self, tenant: TenantId, work: F) -> Result<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let share = self.tenants.enter([(tenant, TENANT_MAX)]);
        let share = share.map_err(|_| {
            Error::overloaded("too many changes of this tenant are in progress; try again")
        })?;
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(Error::internal)?;
        let stop = self.stop.clone();
        let task = async move {
            let _places = (share, place);
            stop.run_until_cancelled(work).await
        };
        match self.running.spawn(task.in_current_span()).await {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => Err(Error::shutting_down()),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(error) => Err(Error::internal(error)),
            },
        }
    }

    /// Waits for the running tasks, at most for `within`; drops the remaining ones.
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

    const TENANT: TenantId = TenantId(1);

    #[tokio::test]
    async fn work_goes_on_without_whoever_asked_for_it() {
        let (tasks, done) = (Tasks::default(), Arc::new(AtomicBool::new(false)));
        let mark = done.clone();
        {
            let mut asked = pin!(tasks.run(TENANT, async move {
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
    async fn no_tenant_takes_all_places() {
        let tasks = Tasks::default();
        let mut asked = Vec::new();
        for _ in 0..TENANT_MAX {
            let tasks = tasks.clone();
            asked.push(tokio::spawn(async move {
                tasks.run(TENANT, pending::<()>()).await
            }));
        }
        while tasks.running.len() < TENANT_MAX {
            yield_now().await;
        }
        let refused = tasks.run(TENANT, async {}).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { .. }), "{refused}");
        assert!(tasks.run(TenantId(2), async {}).await.is_ok());
        tasks.end(Duration::ZERO).await;
    }

    #[tokio::test]
    async fn what_does_not_end_is_dropped_at_the_end() {
        let tasks = Tasks::default();
        let asked = tokio::spawn({
            let tasks = tasks.clone();
            async move { tasks.run(TENANT, pending::<()>()).await }
        });
        while tasks.running.is_empty() {
            yield_now().await;
        }
        tasks.end(Duration::ZERO).await;
        assert!(asked.await.unwrap().is_err());
    }
}
