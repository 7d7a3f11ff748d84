//! Jobs in the background, done step by step, each job's in turn.
//!
//! The jobs that are not at their end stand in the database, and every hub looks for them again and
//! again: whatever becomes of the hub that began one, another goes on with it. Of the hubs that share
//! a database one at a time works on a job: it holds the job's lease. A job that a fault of ours stops
//! again and again is given up.

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

/// How often a hub looks for jobs that it has not begun itself.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long a hub may be silent before another goes on with its jobs: longer than any step.
const LEASE: Duration = Duration::from_secs(10);
/// How often in a row a step is tried again after a fault of ours: one may pass, such as a deadlock
/// between two transactions of PostgreSQL.
const FAULTS_MAX: u32 = 5;

/// The jobs of one kind.
pub struct Jobs<I> {
    /// In a word, for the names of the leases.
    kind: &'static str,
    store: Store,
    /// This hub among those that share the database.
    holder: Uuid,
    begun: UnboundedReceiver<(TenantId, I)>,
    waiting: VecDeque<(TenantId, I)>,
    faults: Faults<I>,
    look_at: Instant,
}

/// How many steps of each job have failed in a row, by a fault of ours.
struct Faults<I>(HashMap<I, u32>);

impl<I: Copy + Eq + Hash> Faults<I> {
    /// Whether another try makes sense. A database that is away is no fault.
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
    /// The jobs that this hub is told of by `begun`, and those that it finds.
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

    /// The job whose turn it is, once there is one; `None`: it is time to stop. `unfinished` answers
    /// all jobs that are not at their end.
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
                // One that is another hub's is found again when that one is silent.
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

    /// Lets a job wait for its next turn.
    pub fn put_back(&mut self, tenant: TenantId, id: I) {
        // One that was begun while the hub looked for the others is among them already.
        if !self.waiting.contains(&(tenant, id)) {
            self.waiting.push_back((tenant, id));
        }
    }

    /// How many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Learns that a step was done: the faults before it count no more.
    pub fn went_on(&mut self, id: I) {
        self.faults.forget(id);
    }

    /// Learns that a step failed; answers whether to try it again.
    pub fn may_pass(&mut self, id: I, error: &Error) -> bool {
        self.faults.may_pass(id, error)
    }

    /// Forgets a job that is at its end.
    pub async fn end(&mut self, id: I) {
        self.faults.forget(id);
        self.release(vec![self.name(id)]).await;
    }

    /// Leaves the jobs that are not at their end to other hubs.
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
        if !self.store.is_shared() {
            return true;
        }
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
        if names.is_empty() || !self.store.is_shared() {
            return;
        }
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
