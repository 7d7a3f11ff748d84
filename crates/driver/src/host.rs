//! The public handle of the driver host.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::error::{DriverError, DriverErrorKind};
use super::job::{Answer, Job, shut_down};
use super::limits::Limits;
use super::observer::{Observer, PoolState, Unobserved};
use super::process::Process;
use super::program::Program;
use super::protocol::Task;
use super::queue::Queue;
use super::request::{DecodeCall, Decoded, Invoke, Returned, Script};
use super::slot;

/// A pool of driver workers. Cheap to clone; the workers end with the last clone.
#[derive(Clone)]
pub struct Host(Arc<Pool>);

struct Pool {
    queue: Arc<Queue>,
    /// One task for each worker; ended by [`Host::shutdown`], or aborted when dropped.
    slots: Mutex<JoinSet<()>>,
}

impl Host {
    /// Starts the workers, which run `program` with [`super::WORKER_ARGUMENT`].
    ///
    /// Fails if they do not start. Later failures are retried and logged.
    pub async fn start(program: Program, limits: Limits) -> io::Result<Self> {
        Self::start_observed(program, limits, Arc::new(Unobserved)).await
    }

    /// Starts the workers; `observer` receives reports about them and their calls.
    pub async fn start_observed(
        program: Program,
        limits: Limits,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Self> {
        let program = Arc::new(program);
        let queue = Arc::new(Queue::new(&limits, observer));
        let mut slots = JoinSet::new();
        for _ in 0..limits.workers.max(1) {
            let process = Process::start(&program, &limits).await?;
            slots.spawn(slot::run(
                Arc::clone(&program),
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
            state: call.state,
            whole: call.whole,
        };
        match self.call(call.tenant, call.script, task).await? {
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
        match self.call(invoke.tenant, invoke.script, task).await? {
            Answer::Returned(returned) => Ok(returned),
            _ => Err(wrong_answer()),
        }
    }

    /// Evaluates a script once. Returns the names of the entry functions that it defines.
    pub async fn check(
        &self,
        tenant: i64,
        script: Arc<Script>,
    ) -> Result<Vec<String>, DriverError> {
        match self.call(tenant, script, Task::Check).await? {
            Answer::Checked(names) => Ok(names),
            _ => Err(wrong_answer()),
        }
    }

    /// Returns true if there is a worker, or may be one in a moment. Without one, calls fail at once.
    pub fn is_available(&self) -> bool {
        self.0.queue.is_available()
    }

    /// Returns the current state of the pool.
    pub fn state(&self) -> PoolState {
        self.0.queue.pool_state()
    }

    /// Stops the workers after their current calls; waiting calls fail.
    pub async fn shutdown(&self) {
        self.0.queue.close();
        let mut slots =
            std::mem::take(&mut *self.0.slots.lock().unwrap_or_else(PoisonError::into_inner));
        while slots.join_next().await.is_some() {}
    }

    async fn call(
        &self,
        tenant: i64,
        script: Arc<Script>,
        task: Task,
    ) -> Result<Answer, DriverError> {
        let (reply, answer) = oneshot::channel();
        let pushed = self.0.queue.push(Job::new(tenant, script, task, reply));
        let answered = match pushed {
            // The sender is only dropped unused when the pool itself is.
            Ok(()) => answer.await.unwrap_or_else(|_| Err(shut_down())),
            Err(error) => Err(error),
        };
        let failure = answered.as_ref().err().map(|error| error.kind);
        self.0.queue.observer().call_answered(failure);
        answered
    }
}

fn wrong_answer() -> DriverError {
    DriverError::new(
        DriverErrorKind::Crashed,
        "the driver's worker answered another question",
    )
}
