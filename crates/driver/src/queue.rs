//! The calls that wait for a worker, and the choice of the next tenant.
//!
//! Tenants share the workers by the CPU time of their calls: the next call is of the tenant that has used
//! least. The cost of a call is estimated from the earlier cost of its script for this tenant, and corrected
//! once it is known. A tenant that was idle starts level with the others: it has neither credit nor debt.
//!
//! Fair shares alone do not keep a quick call from waiting while every worker is busy with slow
//! ones. So calls of slow scripts have a lane of their own in each tenant, are handed out one at a
//! time, and leave one worker to the quick ones where there is more than one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::Notify;

use super::error::{DriverError, DriverErrorKind};
use super::job::{Job, no_worker, shut_down};
use super::limits::Limits;
use super::observer::Observer;
use super::request::Script;

mod workers;

/// Number of calls passed to a worker at once: enough to hide the latency of the exchange, few enough that
/// little waits behind a slow one.
pub const BATCH_CALLS: usize = 16;

/// Maximum expected CPU time of the calls of one batch together.
const BATCH_CPU_TIME_US: u64 = 10_000;

/// Average CPU time of calls above which a script is slow.
const SLOW_CPU_TIME_US: u64 = 5_000;

/// Estimated cost of a call of a script that this tenant has not run lately.
const UNKNOWN_CPU_TIME_US: u64 = 1_000;

/// Maximum number of scripts whose cost is remembered.
const COSTS_MAX: u64 = 16_384;

/// Maximum number of tenants without waiting calls whose usage is remembered.
const IDLE_TENANTS_MAX: usize = 1_024;

/// Waiting calls of all tenants.
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    /// Average CPU time of each tenant's scripts, by digest: a tenant that makes a common script
    /// slow slows only itself.
    costs: Cache<(i64, String), u64>,
    workers: usize,
    jobs_max: usize,
    tenant_jobs_max: usize,
    observer: Arc<dyn Observer>,
}

#[derive(Default)]
struct State {
    tenants: HashMap<i64, Tenant>,
    waiting: usize,
    /// Workers that have calls.
    busy: usize,
    /// Workers that run a slow call.
    slow_running: usize,
    /// CPU time that the last served tenant had used by then; a tenant that was idle starts at this level.
    level_us: u64,
    /// Number of workers.
    serving: usize,
    /// The last start of a worker failed: a full queue is no overload.
    start_fails: bool,
    /// No worker can be started: calls fail at once.
    unavailable: bool,
    closed: bool,
}

#[derive(Default)]
struct Tenant {
    quick: Lane,
    slow: Lane,
    /// CPU time charged, counted from the level at which the tenant came.
    used_us: u64,
}

#[derive(Default)]
struct Lane {
    jobs: VecDeque<Job>,
    used_us: u64,
}

/// Calls that one worker takes at once, all of one tenant.
pub struct Share {
    pub jobs: VecDeque<Job>,
    queue: Arc<Queue>,
    slow: bool,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.busy -= 1;
        if self.slow {
            state.slow_running -= 1;
            drop(state);
            self.queue.changed.notify_one();
        }
    }
}

impl Queue {
    pub fn new(limits: &Limits, observer: Arc<dyn Observer>) -> Self {
        let state = State {
            serving: limits.workers.max(1),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            costs: Cache::new(COSTS_MAX),
            workers: limits.workers.max(1),
            jobs_max: limits.queue,
            tenant_jobs_max: limits.tenant_queue,
            observer,
        }
    }

    /// Puts a call into the queue, within its limits.
    pub fn push(&self, job: Job) -> Result<(), DriverError> {
        let slow = self.is_slow(&job);
        let mut state = self.lock();
        if state.closed {
            return Err(shut_down());
        }
        if state.unavailable {
            return Err(no_worker());
        }
        let lacks_workers = state.serving == 0 && state.start_fails;
        let full = |jobs_max, whose| match lacks_workers {
            true => no_worker(),
            false => full(jobs_max, whose),
        };
        if state.waiting >= self.jobs_max {
            return Err(full(self.jobs_max, ""));
        }
        let is_full = |tenant: &Tenant| tenant.waiting() >= self.tenant_jobs_max;
        if state.tenants.get(&job.tenant).is_some_and(is_full) {
            return Err(full(self.tenant_jobs_max, " of this tenant"));
        }
        let level_us = state.level_us;
        let tenant = state.tenants.entry(job.tenant).or_default();
        if tenant.waiting() == 0 {
            tenant.used_us = tenant.used_us.max(level_us);
        }
        tenant.level_lanes(slow);
        tenant.lane(slow).jobs.push_back(job);
        state.waiting += 1;
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Puts calls back at the head of the queue, in their order. The limits do not apply, because they were
    /// accepted before.
    pub fn put_back(&self, jobs: VecDeque<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut state = self.lock();
        if state.closed {
            drop(state);
            return fail_all(jobs);
        }
        for mut job in jobs.into_iter().rev() {
            let slow = self.is_slow(&job);
            let tenant = state.tenants.entry(job.tenant).or_default();
            tenant.pay(slow, job.charged_us, 0);
            job.charged_us = 0;
            tenant.lane(slow).jobs.push_front(job);
            state.waiting += 1;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for calls and takes a worker's share of them; `None` when the queue is closed.
    /// May be cancelled: it takes calls only in returning them.
    pub async fn take(self: &Arc<Self>) -> Option<Share> {
        loop {
            {
                let mut state = self.lock();
                if state.closed {
                    // For the next slot that waits.
                    self.changed.notify_one();
                    return None;
                }
                if let Some(share) = self.next_share(&mut state) {
                    if state.waiting > 0 {
                        self.changed.notify_one();
                    }
                    drop(state);
                    for job in &share.jobs {
                        self.observer.call_dequeued(job.queued_at.elapsed());
                    }
                    return Some(share);
                }
            }
            self.changed.notified().await;
        }
    }

    /// Charges a call's tenant what the call has really cost, answered or not.
    pub fn charge(&self, job: &mut Job, cpu_time_us: u64) {
        let charged_us = std::mem::replace(&mut job.charged_us, cpu_time_us);
        self.charge_script(job.tenant, &job.script, charged_us, cpu_time_us);
    }

    /// Charges a tenant what a call of this script has cost beyond what was charged.
    pub fn charge_more(&self, tenant: i64, script: &Script, cpu_time_us: u64) {
        self.charge_script(tenant, script, 0, cpu_time_us);
    }

    fn charge_script(&self, tenant: i64, script: &Script, charged_us: u64, cpu_time_us: u64) {
        self.observer
            .cpu_time_used(Duration::from_micros(cpu_time_us));
        let key = (tenant, script.digest.clone());
        let known_us = self.costs.get(&key);
        let slow = known_us.is_some_and(|us| us > SLOW_CPU_TIME_US);
        let average_us = match known_us {
            Some(average_us) => average_us - average_us / 8 + cpu_time_us / 8,
            None => cpu_time_us,
        };
        self.costs.insert(key, average_us);
        if let Some(tenant) = self.lock().tenants.get_mut(&tenant) {
            tenant.pay(slow, charged_us, cpu_time_us);
        }
    }

    /// Returns the receiver of reports.
    pub fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting = 0;
        let tenants = std::mem::take(&mut state.tenants);
        drop(state);
        for tenant in tenants.into_values() {
            fail_all(tenant.quick.jobs);
            fail_all(tenant.slow.jobs);
        }
        self.changed.notify_one();
    }

    fn next_share(self: &Arc<Self>, state: &mut State) -> Option<Share> {
        loop {
            let slow_admitted = state.slow_running < self.workers.saturating_sub(1).max(1);
            let (&key, _) = state
                .tenants
                .iter()
                .filter(|(_, tenant)| tenant.has_work(slow_admitted))
                .min_by_key(|(key, tenant)| (tenant.used_us, **key))?;
            let tenant = state.tenants.get_mut(&key)?;
            let level_us = tenant.used_us;
            let before = tenant.waiting();
            let slow = tenant.is_slow_next(slow_admitted);
            let jobs = if slow {
                tenant.take_slow(|job| self.expected_us(job))
            } else {
                tenant.take_quick(self)
            };
            state.waiting -= before - tenant.waiting();
            state.level_us = state.level_us.max(level_us);
            if state.tenants.len() > IDLE_TENANTS_MAX {
                state.forget_idle();
            }
            // Empty where their callers have gone away, or where quick ones turned out slow.
            if !jobs.is_empty() {
                state.busy += 1;
                state.slow_running += usize::from(slow);
                return Some(Share {
                    jobs,
                    queue: Arc::clone(self),
                    slow,
                });
            }
        }
    }

    fn expected_us(&self, job: &Job) -> u64 {
        self.known_us(job).unwrap_or(UNKNOWN_CPU_TIME_US)
    }

    fn known_us(&self, job: &Job) -> Option<u64> {
        self.costs.get(&(job.tenant, job.script.digest.clone()))
    }

    fn is_slow(&self, job: &Job) -> bool {
        self.known_us(job).is_some_and(|us| us > SLOW_CPU_TIME_US)
    }

    /// No code panics while it holds this lock, and the state is whole at every step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets tenants whose usage makes no difference, because they would start at the level anyway.
    fn forget_idle(&mut self) {
        let level_us = self.level_us;
        self.tenants
            .retain(|_, tenant| tenant.waiting() > 0 || tenant.used_us > level_us);
    }
}

impl Tenant {
    fn waiting(&self) -> usize {
        self.quick.jobs.len() + self.slow.jobs.len()
    }

    fn lane(&mut self, slow: bool) -> &mut Lane {
        if slow {
            &mut self.slow
        } else {
            &mut self.quick
        }
    }

    /// A lane that was idle starts level with the other.
    fn level_lanes(&mut self, slow: bool) {
        let other_us = self.lane(!slow).used_us;
        let lane = self.lane(slow);
        if lane.jobs.is_empty() {
            lane.used_us = lane.used_us.max(other_us);
        }
    }

    fn has_work(&self, slow_admitted: bool) -> bool {
        !self.quick.jobs.is_empty() || (slow_admitted && !self.slow.jobs.is_empty())
    }

    /// The lane that has had less, of those that may be served.
    fn is_slow_next(&self, slow_admitted: bool) -> bool {
        slow_admitted
            && !self.slow.jobs.is_empty()
            && (self.quick.jobs.is_empty() || self.slow.used_us < self.quick.used_us)
    }

    fn take_slow(&mut self, expected_us: impl Fn(&Job) -> u64) -> VecDeque<Job> {
        while let Some(mut job) = self.slow.jobs.pop_front() {
            if !job.is_abandoned() {
                job.charged_us = expected_us(&job);
                self.pay(true, 0, job.charged_us);
                return [job].into();
            }
        }
        VecDeque::new()
    }

    /// As many as leave something for the other workers and are over soon. What nobody knows yet
    /// goes alone.
    fn take_quick(&mut self, queue: &Queue) -> VecDeque<Job> {
        let share = self.quick.jobs.len().div_ceil(queue.workers);
        let mut taken = VecDeque::new();
        let mut expected_us = 0;
        while taken.len() < share.min(BATCH_CALLS) && expected_us < BATCH_CPU_TIME_US {
            let Some(mut job) = self.quick.jobs.pop_front() else {
                break;
            };
            if job.is_abandoned() {
                continue;
            }
            if queue.is_slow(&job) {
                self.slow.jobs.push_back(job);
                continue;
            }
            let known = queue.known_us(&job).is_some();
            if !known && !taken.is_empty() {
                self.quick.jobs.push_front(job);
                break;
            }
            job.charged_us = queue.expected_us(&job);
            expected_us += job.charged_us;
            self.pay(false, 0, job.charged_us);
            taken.push_back(job);
            if !known {
                break;
            }
        }
        taken
    }

    fn pay(&mut self, slow: bool, charged_us: u64, cost_us: u64) {
        let paid = |used_us: u64| used_us.saturating_sub(charged_us).saturating_add(cost_us);
        self.used_us = paid(self.used_us);
        let lane = self.lane(slow);
        lane.used_us = paid(lane.used_us);
    }
}

fn fail_all(jobs: VecDeque<Job>) {
    for job in jobs {
        job.answer(Err(shut_down()));
    }
}

fn full(jobs_max: usize, whose: &str) -> DriverError {
    let message = format!("{jobs_max} driver calls{whose} are waiting already");
    DriverError::new(DriverErrorKind::Overloaded, message)
}

#[cfg(test)]
mod tests;
