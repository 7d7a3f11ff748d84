//! Background jobs, done step by step in turn.
//!
//! Unfinished jobs are stored in the database, and every hub polls for them: if the hub that began a job
//! ends, another continues it. Of the hubs that share a database only the one that holds a job's lease works
//! on it. A job that fails repeatedly by an internal error is given up.

use std::{
    collections::{HashMap, VecDeque},
    fmt::Display,
    hash::Hash,
    time::Duration,
};

use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    id::{TenantId, new_uuid},
    store::Store,
};

/// Interval between two polls for jobs that this hub has not begun itself.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Life of a lease, after which another hub continues the job; longer than any step.
const LEASE: Duration = Duration::from_secs(10);
/// Maximum number of retries in a row after an internal error, which may be temporary, such as a deadlock
/// between two transactions of PostgreSQL.
const FAULTS_MAX: u32 = 5;

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
