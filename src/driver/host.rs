//! The public handle of the driver host, and the queue of calls that wait for a worker.
//!
//! One queue for all workers, so that a call never waits behind a slow one while another worker is
//! idle. It is bounded: beyond, a call fails at once and its sender can slow down.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use super::process::Process;
use super::protocol::Task;
use super::{
    DecodeCall, Decoded, DriverError, DriverErrorKind, Invoke, Limits, Returned, Script, slot,
};

/// A pool of driver workers. Cheap to clone; the workers end with the last clone.
#[derive(Clone)]
pub struct Host(Arc<Pool>);

struct Pool {
    queue: Arc<Queue>,
    /// One task for each worker; ended by [`Host::shutdown`], or aborted when dropped.
    slots: Mutex<JoinSet<()>>,
}

impl Host {
    /// Starts the workers: `program` with [`super::WORKER_ARGUMENT`].
    ///
    /// Fails where they do not start. Later failures are retried and logged.
    pub async fn start(program: PathBuf, limits: Limits) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(limits.queue));
        let mut slots = JoinSet::new();
        for _ in 0..limits.workers.max(1) {
            let process = Process::start(&program, &limits).await?;
            slots.spawn(slot::run(
                program.clone(),
                limits.clone(),
                Arc::clone(&queue),
                process,
            ));
        }
        Ok(Self(Arc::new(Pool {
            queue,
            slots: Mutex::new(slots),
        })))
    }

    /// Decodes one uplink.
    pub async fn decode(&self, call: DecodeCall) -> Result<Decoded, DriverError> {
        let task = Task::Decode {
            payload: call.payload,
            f_port: call.f_port,
            received_at_ms: call.received_at.timestamp_millis(),
        };
        match self.call(call.script, task).await? {
            Answer::Decoded(decoded) => Ok(decoded),
            _ => Err(wrong_answer()),
        }
    }

    /// Calls one function with one input.
    pub async fn invoke(&self, invoke: Invoke) -> Result<Returned, DriverError> {
        let input = serde_json::value::to_raw_value(&invoke.input)
            .map_err(|error| DriverError::new(DriverErrorKind::BadInput, error.to_string()))?;
        let task = Task::Call {
            function: invoke.function,
            input,
            received_at_ms: invoke.received_at.map(|time| time.timestamp_millis()),
        };
        match self.call(invoke.script, task).await? {
            Answer::Returned(returned) => Ok(returned),
            _ => Err(wrong_answer()),
        }
    }

    /// Evaluates a script once and names the entry functions that it defines.
    pub async fn check(&self, script: Arc<Script>) -> Result<Vec<String>, DriverError> {
        match self.call(script, Task::Check).await? {
            Answer::Checked(names) => Ok(names),
            _ => Err(wrong_answer()),
        }
    }

    /// Ends the workers once the calls that they have begun are over; waiting calls fail.
    pub async fn shutdown(&self) {
        self.0.queue.close();
        let mut slots = std::mem::take(&mut *lock(&self.0.slots));
        while slots.join_next().await.is_some() {}
    }

    async fn call(&self, script: Arc<Script>, task: Task) -> Result<Answer, DriverError> {
        let (reply, answer) = oneshot::channel();
        self.0.queue.push(Job {
            script,
            task,
            attempts: 0,
            reply,
        })?;
        // The sender is only dropped unused when the pool itself is.
        answer.await.unwrap_or_else(|_| Err(shut_down()))
    }
}

/// A call that waits or runs.
pub struct Job {
    pub script: Arc<Script>,
    pub task: Task,
    /// Workers that were ended from outside while they ran it.
    pub attempts: u32,
    reply: oneshot::Sender<Result<Answer, DriverError>>,
}

pub enum Answer {
    Decoded(Decoded),
    Returned(Returned),
    Checked(Vec<String>),
}

impl Job {
    pub fn answer(self, answer: Result<Answer, DriverError>) {
        // A caller that has gone away needs no answer.
        let _ = self.reply.send(answer);
    }

    pub fn fail(self, kind: DriverErrorKind, message: &str) {
        self.answer(Err(DriverError::new(kind, message)));
    }
}

/// Calls that wait for a worker.
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    jobs_max: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    fn new(jobs_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            jobs_max,
        }
    }

    fn push(&self, job: Job) -> Result<(), DriverError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(shut_down());
        }
        if state.jobs.len() >= self.jobs_max {
            let message = format!("{} driver calls are waiting already", self.jobs_max);
            return Err(DriverError::new(DriverErrorKind::Overloaded, message));
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Puts calls back at the head, in their order. They were let in before: no bound applies.
    pub fn put_back(&self, mut jobs: VecDeque<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            return fail_all(jobs);
        }
        jobs.append(&mut state.jobs);
        state.jobs = jobs;
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for calls and takes a worker's share of them; `None` when the queue is closed.
    /// May be cancelled: it takes calls only in returning them.
    pub async fn take(&self, jobs_max: usize, workers: usize) -> Option<Vec<Job>> {
        loop {
            {
                let mut state = lock(&self.state);
                if state.closed {
                    // For the next slot that waits.
                    self.changed.notify_one();
                    return None;
                }
                // A share leaves something for the other workers.
                let share = state.jobs.len().div_ceil(workers.max(1));
                let taken = state.take(share.min(jobs_max));
                if !state.jobs.is_empty() {
                    self.changed.notify_one();
                }
                if !taken.is_empty() {
                    return Some(taken);
                }
            }
            self.changed.notified().await;
        }
    }

    /// Takes up to so many calls without waiting.
    pub fn take_waiting(&self, jobs_max: usize) -> Vec<Job> {
        lock(&self.state).take(jobs_max)
    }

    pub fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        fail_all(jobs);
        self.changed.notify_one();
    }
}

impl State {
    /// Takes calls, passing over those whose callers have gone away.
    fn take(&mut self, jobs_max: usize) -> Vec<Job> {
        let mut taken = Vec::with_capacity(jobs_max);
        while taken.len() < jobs_max {
            match self.jobs.pop_front() {
                Some(job) if job.reply.is_closed() => {}
                Some(job) => taken.push(job),
                None => break,
            }
        }
        taken
    }
}

fn fail_all(jobs: VecDeque<Job>) {
    for job in jobs {
        job.answer(Err(shut_down()));
    }
}

fn shut_down() -> DriverError {
    DriverError::new(
        DriverErrorKind::Overloaded,
        "the driver host is shutting down",
    )
}

fn wrong_answer() -> DriverError {
    DriverError::new(
        DriverErrorKind::Crashed,
        "the driver's worker answered another question",
    )
}

/// No code panics while it holds these locks, and their state is whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
