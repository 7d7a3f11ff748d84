//! Background jobs, done step by step in turn.
//!
//! Unfinished jobs are stored in the database, and every hub polls for them: if the hub that began a job
//! ends, another continues it. Of the hubs that share a database only the one that holds a job's lease works
//! on it. While messages of network servers arrive, it pauses after each step. A job that fails repeatedly by
//! an internal error is given up. [`Work`] says what a step of a kind of jobs is; [`Worker`] does the steps.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Display,
    hash::Hash,
    time::Duration,
};

use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    id::{TenantId, new_uuid},
    store::{Scope, Store},
    supervise::attempted,
};

/// Pause after an error, such as an unavailable database, and while all jobs wait.
const PAUSE: Duration = Duration::from_secs(1);
/// Interval between two polls for jobs that this hub has not begun itself.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Life of a lease, after which another hub continues the job; longer than any step.
const LEASE: Duration = Duration::from_secs(10);
/// Maximum number of retries in a row after an internal error, which may be temporary, such as a deadlock
/// between two transactions of PostgreSQL.
const FAULTS_MAX: u32 = 5;

/// Result of one step of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// More steps are left.
    GoOn,
    /// The step cannot be done at the moment.
    Wait,
    /// Nothing is left to do.
    Done,
}

/// Work of the jobs of one kind.
pub trait Work: Send {
    /// Identifier of a job.
    type Id: Copy + Eq + Hash + Display + Send + Sync;

    /// Kind of the jobs in one word.
    const KIND: &'static str;

    /// Returns the unfinished jobs of all tenants.
    fn unfinished(store: &Store) -> impl Future<Output = Result<Vec<(TenantId, Self::Id)>>> + Send;

    /// Does the next step of a job. [`Error::NotFound`] means that the job was deleted with what it belongs to.
    fn step(&mut self, scope: &Scope, id: Self::Id) -> impl Future<Output = Result<Step>> + Send;

    /// Ends a job as failed.
    fn give_up(scope: &Scope, id: Self::Id) -> impl Future<Output = Result<()>> + Send;

    /// Drops what is kept in memory for a job, after its end or an error.
    fn forget(&mut self, _id: Self::Id) {}

    /// Notes that a job has ended, as failed or not.
    fn note_end(&self, _id: Self::Id, _is_failed: bool) {}
}

/// Handle that notifies a worker of new jobs.
pub struct Starter<I>(UnboundedSender<(TenantId, I)>);

impl<I> Clone for Starter<I> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I> Starter<I> {
    /// Notifies the worker of a job that is stored already.
    pub fn start(&self, scope: &Scope, id: I) {
        // During shutdown the send fails; the job then waits in the database.
        let _ = self.0.send((scope.tenant(), id));
    }
}

/// Does the work of the jobs of one kind, step by step in turn.
pub struct Worker<W: Work> {
    jobs: Jobs<W::Id>,
    store: Store,
    work: W,
}

impl<W: Work> Worker<W> {
    /// Creates a worker and the handle that notifies it.
    pub fn new(store: Store, work: W) -> (Self, Starter<W::Id>) {
        let (sender, begun) = mpsc::unbounded_channel();
        let worker = Self {
            jobs: Jobs::new(W::KIND, store.clone(), begun),
            store,
            work,
        };
        (worker, Starter(sender))
    }

    /// Runs until `stop` is cancelled, and finishes the current step first.
    pub async fn run(&mut self, stop: CancellationToken) {
        // Number of consecutive steps that had to wait. If all jobs wait, the loop pauses.
        let mut idle = 0;
        let store = self.store.clone();
        let unfinished = || W::unfinished(&store);
        while let Some((tenant, id)) = self.jobs.next(&stop, unfinished).await {
            let scope = self.store.scope(tenant);
            let begun = Instant::now();
            let step = attempted(W::KIND, self.work.step(&scope, id)).await;
            if step.is_ok() {
                self.jobs.went_on(id);
            } else {
                // What was read and not written is read again.
                self.work.forget(id);
            }
            match step {
                Ok(Step::GoOn) => {
                    idle = 0;
                    let pause = self.store.pause_after_step(begun.elapsed());
                    let _ = timeout(pause, stop.cancelled()).await;
                }
                Ok(Step::Wait) => idle += 1,
                Ok(Step::Done) => {
                    self.work.note_end(id, false);
                    self.end(id).await;
                    continue;
                }
                Err(Error::NotFound(_)) => {
                    self.end(id).await;
                    continue;
                }
                Err(error) => {
                    if !self.go_on_after(&scope, id, &error).await {
                        self.end(id).await;
                        continue;
                    }
                    idle = self.jobs.waiting() + 1;
                }
            }
            self.jobs.put_back(tenant, id);
            if idle >= self.jobs.waiting() {
                idle = 0;
                let _ = timeout(PAUSE, stop.cancelled()).await;
            }
        }
        self.jobs.leave().await;
    }

    /// Returns true if a failed step should be retried. Otherwise gives the job up.
    async fn go_on_after(&mut self, scope: &Scope, id: W::Id, error: &Error) -> bool {
        let (kind, cause) = (W::KIND, error.causes());
        if self.jobs.may_pass(id, error) {
            tracing::warn!(job.kind = kind, job.id = %id, cause, "{kind} waits");
            return true;
        }
        tracing::error!(job.kind = kind, job.id = %id, cause, "{kind} given up");
        match W::give_up(scope, id).await {
            Ok(()) => self.work.note_end(id, true),
            Err(error) => {
                let cause = error.causes();
                tracing::warn!(job.kind = kind, job.id = %id, cause, "{kind} stays unfinished");
            }
        }
        false
    }

    async fn end(&mut self, id: W::Id) {
        self.work.forget(id);
        self.jobs.end(id).await;
    }
}

/// The jobs of one kind.
pub struct Jobs<I> {
    /// Kind of the jobs in one word; the first part of the leases' names.
    kind: &'static str,
    store: Store,
    /// Identifies this hub among those that share the database.
    holder: Uuid,
    begun: UnboundedReceiver<(TenantId, I)>,
    waiting: VecDeque<(TenantId, I)>,
    faults: Faults<I>,
    look_at: Instant,
}

/// Number of steps of each job that have failed in a row by an internal error.
struct Faults<I>(HashMap<I, u32>);

impl<I: Copy + Eq + Hash> Faults<I> {
    /// Returns true if the step should be retried. An unavailable database is not counted as a failure.
    fn may_pass(&mut self, id: I, error: &Error) -> bool {
        if matches!(error, Error::Unavailable { .. }) {
            return true;
        }
        let count = self.0.entry(id).or_default();
        *count += 1;
        *count <= FAULTS_MAX
    }

    fn forget(&mut self, id: I) {
        self.0.remove(&id);
    }
}

impl<I: Copy + Eq + Hash + Display> Jobs<I> {
    /// Manages the jobs that `begun` announces and those found in the database.
    pub fn new(kind: &'static str, store: Store, begun: UnboundedReceiver<(TenantId, I)>) -> Self {
        Self {
            kind,
            store,
            holder: new_uuid(),
            begun,
            waiting: VecDeque::new(),
            faults: Faults(HashMap::new()),
            look_at: Instant::now(),
        }
    }

    /// Waits for the next job that this hub may work on; `None`: it is time to stop. `unfinished` returns
    /// all unfinished jobs.
    pub async fn next<F>(
        &mut self,
        stop: &CancellationToken,
        unfinished: impl Fn() -> F,
    ) -> Option<(TenantId, I)>
    where
        F: Future<Output = Result<Vec<(TenantId, I)>>>,
    {
        while !stop.is_cancelled() {
            while let Ok((tenant, id)) = self.begun.try_recv() {
                self.put_back(tenant, id);
            }
            if Instant::now() >= self.look_at {
                self.look(unfinished().await);
            }
            while let Some((tenant, id)) = self.waiting.pop_front() {
                // A job whose lease another hub holds is found again by a later poll.
                if self.is_ours(tenant, id).await {
                    return Some((tenant, id));
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                begun = self.begun.recv() => match begun {
                    Some((tenant, id)) => self.put_back(tenant, id),
                    None => return None,
                },
                () = sleep_until(self.look_at) => {}
            }
        }
        None
    }

    /// Puts a job at the end of the queue.
    pub fn put_back(&mut self, tenant: TenantId, id: I) {
        // A job that was begun during a poll may already be in the queue.
        if !self.waiting.contains(&(tenant, id)) {
            self.waiting.push_back((tenant, id));
        }
    }

    /// Number of jobs in the queue.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Resets the count of failures after a successful step.
    pub fn went_on(&mut self, id: I) {
        self.faults.forget(id);
    }

    /// Counts a failed step. Returns true if it should be retried.
    pub fn may_pass(&mut self, id: I, error: &Error) -> bool {
        self.faults.may_pass(id, error)
    }

    /// Forgets a finished job and releases its lease.
    pub async fn end(&mut self, id: I) {
        self.faults.forget(id);
        self.release(vec![self.name(id)]).await;
    }

    /// Releases the leases of all unfinished jobs, so that other hubs can continue them.
    pub async fn leave(&self) {
        let names = self.waiting.iter().map(|(_, id)| self.name(*id));
        self.release(names.collect()).await;
    }

    fn look(&mut self, found: Result<Vec<(TenantId, I)>>) {
        self.look_at = Instant::now() + LOOK_EVERY;
        match found {
            Ok(found) => {
                for (tenant, id) in found {
                    self.put_back(tenant, id);
                }
            }
            Err(error) => {
                let kind = self.kind;
                tracing::warn!("each {kind} waits for the database: {}", error.causes());
            }
        }
    }

    async fn is_ours(&self, tenant: TenantId, id: I) -> bool {
        let wanted = vec![(tenant, self.name(id))];
        match self.store.hold_leases(self.holder, wanted, LEASE).await {
            Ok(held) => !held.is_empty(),
            Err(error) => {
                let kind = self.kind;
                tracing::warn!("{kind} {id} waits for its lease: {}", error.causes());
                false
            }
        }
    }

    async fn release(&self, names: Vec<String>) {
        if let Err(error) = self.store.release_leases(self.holder, names).await {
            tracing::debug!("leases run out by themselves: {}", error.causes());
        }
    }

    fn name(&self, id: I) -> String {
        format!("{}/{id}", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_faults_in_a_row_count() {
        let mut faults = Faults(HashMap::new());
        let fault = Error::internal("a fault");
        for _ in 0..3 {
            for _ in 0..FAULTS_MAX {
                assert!(faults.may_pass(1, &fault));
            }
            faults.forget(1);
        }
        for _ in 0..FAULTS_MAX {
            assert!(faults.may_pass(1, &fault));
            assert!(faults.may_pass(1, &Error::overloaded("the database is away")));
        }
        assert!(faults.may_pass(2, &fault), "another job");
        assert!(!faults.may_pass(1, &fault));
    }
}
