//! One place in the pool: it takes waiting calls, hands them to its worker, and replaces the
//! worker when it ends.
//!
//! Every call taken is answered or put back, whatever happens to the worker: the first unanswered
//! call is the one that was running, and it alone pays for a death; those behind it go back to the
//! head of their queue, in their order. A call whose worker was ended from outside has done nothing
//! wrong and is tried once more.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, value::RawValue};
use tokio::time::timeout;

use super::convert;
use super::job::{Answer, Job};
use super::no_numbers;
use super::process::{Death, Process};
use super::protocol::{self, Batch, Call, Outcome, Reply, Task};
use super::queue::{BATCH_CALLS, Queue, Share};
use super::{Decoded, DriverError, DriverErrorKind, Limits, Returned};

/// Starts of a worker that may fail in a row before waiting calls fail with it.
const START_FAILURES_MAX: u32 = 3;

/// Times that a call is handed out, where workers are ended from outside.
const ATTEMPTS_MAX: u32 = 2;

/// Serves the queue until it is closed.
pub async fn run(program: PathBuf, limits: Limits, queue: Arc<Queue>, first: Process) {
    let mut process = first;
    loop {
        // A fault of ours costs the calls at hand, and not the place of the worker.
        let serving = AssertUnwindSafe(serve(process, &limits, &queue)).catch_unwind();
        let served = serving.await.unwrap_or_else(|_| {
            tracing::error!("the work with a driver worker broke, and it is replaced");
            Served::WorkerEnded(None)
        });
        // What a dead worker was running counts as running until there is another worker.
        let Served::WorkerEnded(_share) = served else {
            return;
        };
        match start(&program, &limits, &queue).await {
            Some(next) => process = next,
            None => return,
        }
    }
}

enum Served {
    WorkerEnded(Option<Share>),
    QueueClosed,
}

/// A new worker, or `None` when the queue was closed before one would start.
async fn start(program: &std::path::Path, limits: &Limits, queue: &Queue) -> Option<Process> {
    let mut failures = 0;
    loop {
        if queue.is_closed() {
            return None;
        }
        match Process::start(program, limits).await {
            Ok(process) => return Some(process),
            Err(error) => {
                failures += 1;
                tracing::error!(%error, driver.failures = failures, "a driver worker does not start");
            }
        }
        if failures >= START_FAILURES_MAX {
            for job in queue.take_waiting(BATCH_CALLS) {
                job.fail(
                    DriverErrorKind::Crashed,
                    "no driver worker could be started",
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(100 << failures.min(5))).await;
    }
}

async fn serve(mut process: Process, limits: &Limits, queue: &Arc<Queue>) -> Served {
    loop {
        let share = tokio::select! {
            share = queue.take() => share,
            () = process.ended() => {
                let death = process.death().await;
                tracing::warn!(?death, "an idle driver worker ended and is replaced");
                return Served::WorkerEnded(None);
            }
        };
        let Some(mut share) = share else {
            process.close().await;
            return Served::QueueClosed;
        };
        let jobs = std::mem::take(&mut share.jobs);
        match exchange(process, limits, queue, jobs).await {
            Some(alive) => process = alive,
            None => return Served::WorkerEnded(Some(share)),
        }
    }
}

/// Has a worker run these calls; gives it back if it is still of use.
async fn exchange(
    mut process: Process,
    limits: &Limits,
    queue: &Queue,
    mut jobs: VecDeque<Job>,
) -> Option<Process> {
    let wall_time = Duration::from_millis(limits.wall_time_ms);
    let sent = match batch(&mut process, &jobs) {
        Ok(frame) => timeout(wall_time, process.send(&frame))
            .await
            .unwrap_or_else(|_| Err(late())),
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "a driver worker does not take calls");
        process.kill().await;
        blame_for(Death::Outside, queue, jobs, limits);
        return None;
    }
    while !jobs.is_empty() {
        let started = Instant::now();
        match timeout(wall_time, process.receive::<Reply>()).await {
            Ok(Ok(reply)) => {
                if let Some(mut job) = jobs.pop_front() {
                    let cost_us = process.cost_us(reply.worker_cpu_time_us);
                    queue.charge(&mut job, cost_us);
                    settle(&mut process, queue, job, reply.outcome, cost_us);
                }
                if reply.retiring {
                    queue.put_back(jobs);
                    process.close().await;
                    return None;
                }
            }
            Ok(Err(_)) => {
                charge_first(queue, &mut jobs, &process, started);
                blame_for(process.death().await, queue, jobs, limits);
                return None;
            }
            Err(_) => {
                charge_first(queue, &mut jobs, &process, started);
                process.kill().await;
                let limit = format!("wall time limit of {} ms reached", limits.wall_time_ms);
                fail_first(queue, jobs, DriverErrorKind::WallTime, &limit);
                return None;
            }
        }
    }
    Some(process)
}

fn batch(process: &mut Process, jobs: &VecDeque<Job>) -> std::io::Result<Vec<u8>> {
    let calls = jobs
        .iter()
        .map(|job| Call {
            digest: job.script.digest.as_str().into(),
            source: process
                .must_send(&job.script.digest)
                .then(|| job.script.source.as_str().into()),
            task: job.task.clone(),
        })
        .collect();
    protocol::frame(&Batch { calls })
}

/// Answers a call, or puts it back where its worker lacks the script.
fn settle(process: &mut Process, queue: &Queue, job: Job, outcome: Outcome, cost_us: u64) {
    let answer = match outcome {
        Outcome::Decoded {
            data,
            new_state,
            mut warnings,
            result,
            logs,
            cpu_time_us,
            memory_peak_bytes,
        } => match read_both(&data, new_state.as_deref(), &job.task) {
            Ok((data, new_state, left_out)) => Ok(Answer::Decoded(Decoded {
                data,
                new_state,
                warnings: {
                    warnings.extend(no_numbers::warnings(left_out));
                    warnings
                },
                logs,
                result: result.and_then(|json| read(json.get()).ok()),
                cpu_time_us,
                memory_peak_bytes,
            })),
            Err(error) => Err(DriverError {
                logs,
                cpu_time_us: cost_us,
                ..error
            }),
        },
        Outcome::Returned {
            result: json,
            logs,
            cpu_time_us,
            memory_peak_bytes,
        } => match read(&convert::replace_unpaired_surrogates(json.get().to_owned())) {
            Ok(result) => Ok(Answer::Returned(Returned {
                result,
                json,
                logs,
                cpu_time_us,
                memory_peak_bytes,
            })),
            Err(error) => Err(DriverError {
                logs,
                cpu_time_us: cost_us,
                ..error
            }),
        },
        Outcome::Checked { names } => Ok(Answer::Checked(names)),
        Outcome::Failed(error) => Err(DriverError {
            cpu_time_us: cost_us,
            ..error
        }),
        Outcome::NeedScript => {
            process.forget(&job.script.digest);
            queue.put_back([job].into());
            return;
        }
    };
    job.answer(answer);
}

type Fields = Map<String, Value>;

/// Reads the data and the state beside them, and takes out what is no value; the paths of that.
fn read_both(
    data: &RawValue,
    new_state: Option<&RawValue>,
    task: &Task,
) -> Result<(Fields, Option<Fields>, Vec<String>), DriverError> {
    let mut left_out = Vec::new();
    let mut fields: Fields = read(data.get())?;
    let mut state: Option<Fields> = new_state.map(|json| read(json.get())).transpose()?;
    let has_marks = [Some(data), new_state]
        .into_iter()
        .flatten()
        .any(|json| no_numbers::may_be_in(json.get()));
    if has_marks {
        let old = match task {
            Task::Decode { state, .. } => state.as_deref().and_then(|json| read(json).ok()),
            Task::Check | Task::Call { .. } => None,
        };
        // In the own form the state is among the data.
        let old: Option<Fields> = old;
        let held = old.clone().map(|old| {
            let member = ("new_state".to_owned(), Value::Object(old));
            Fields::from_iter([member])
        });
        no_numbers::take_out(&mut fields, held.as_ref(), "", &mut left_out);
        if let Some(state) = &mut state {
            no_numbers::take_out(state, old.as_ref(), "new_state", &mut left_out);
        }
    }
    Ok((fields, state, left_out))
}

/// Reads a result; nesting beyond what a JSON reader should follow is an error.
fn read<T: DeserializeOwned>(json: &str) -> Result<T, DriverError> {
    serde_json::from_str(json).map_err(|error| {
        let message = format!("the result cannot be read as JSON: {error}");
        DriverError::new(DriverErrorKind::BadResult, message)
    })
}

/// Settles the calls of a worker that died: the first of them was running.
fn blame_for(death: Death, queue: &Queue, mut jobs: VecDeque<Job>, limits: &Limits) {
    match death {
        Death::CpuTime => {
            let called = jobs.front().and_then(Job::called);
            let whose = called.map_or_else(String::new, |name| format!(" that {name} called"));
            let limit = format!(
                "CPU time limit of {} ms reached in native code{whose}",
                limits.cpu_time_ms
            );
            fail_first(queue, jobs, DriverErrorKind::CpuTime, &limit);
        }
        Death::Fault { signal } => {
            tracing::error!(driver.signal = signal, "a driver crashed its worker");
            fail_first(
                queue,
                jobs,
                DriverErrorKind::Crashed,
                "the driver crashed its worker",
            );
        }
        Death::Outside => {
            tracing::warn!("a driver worker was ended from outside");
            if let Some(first) = jobs.front_mut() {
                first.attempts += 1;
                if first.attempts >= ATTEMPTS_MAX {
                    let reason = "the driver's worker was ended from outside";
                    return fail_first(queue, jobs, DriverErrorKind::Crashed, reason);
                }
            }
            queue.put_back(jobs);
        }
    }
}

/// Charges the call whose worker died: by the kernel's account, or else as long as it held the
/// worker.
fn charge_first(queue: &Queue, jobs: &mut VecDeque<Job>, process: &Process, started: Instant) {
    if let Some(running) = jobs.front_mut() {
        let held_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        queue.charge(running, process.unreported_cost_us().unwrap_or(held_us));
    }
}

fn fail_first(queue: &Queue, mut jobs: VecDeque<Job>, kind: DriverErrorKind, message: &str) {
    if let Some(running) = jobs.pop_front() {
        running.fail(kind, message);
    }
    queue.put_back(jobs);
}

fn late() -> std::io::Error {
    std::io::ErrorKind::TimedOut.into()
}
