//! A slot of the pool: takes waiting calls, passes them to its worker, and replaces the worker when it ends.
//!
//! Every dequeued call is answered or put back, whatever happens to the worker: the first unanswered call is
//! the one that was running, and only that one fails if the worker dies; the later ones go back to the head
//! of their queue, in their order. A call whose worker was killed from outside, or sent a forged reply, may
//! not be the cause and is retried once.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::{sleep, timeout};

use super::error::DriverErrorKind;
use super::job::Job;
use super::limits::Limits;
use super::observer::WorkerEnd;
use super::process::{EndCause, Process, micros};
use super::program::Program;
use super::protocol::{self, Batch, Call, Reply};
use super::queue::{Queue, Share};
use super::reply::{self, Read};
use super::request::Script;

/// Number of failed starts of a worker in a row after which waiting calls fail.
const START_FAILURES_MAX: u32 = 3;

/// Time for a worker to start after which waiting calls fail, if there is no other worker.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// Maximum number of attempts of a call whose workers are killed from outside.
const ATTEMPTS_MAX: u32 = 2;

/// Serves the queue until it is closed.
pub async fn run(program: Arc<Program>, limits: Limits, queue: Arc<Queue>, first: Process) {
    let mut process = first;
    loop {
        // An internal error fails the current calls, but must not lose the slot.
        let serving = AssertUnwindSafe(serve(process, &limits, &queue)).catch_unwind();
        let served = serving.await.unwrap_or_else(|_| {
            tracing::error!("the work with a driver worker broke, and it is replaced");
            queue.observer().worker_ended(WorkerEnd::Broken);
            Served::WorkerEnded(None)
        });
        // The calls of a dead worker count as running until there is another worker.
        let Served::WorkerEnded(_share) = served else {
            return;
        };
        queue.worker_lost();
        match start(&program, &limits, &queue).await {
            Some(next) => process = next,
            None => return,
        }
        queue.worker_found();
    }
}

enum Served {
    WorkerEnded(Option<Share>),
    QueueClosed,
}

/// A new worker, or `None` when the queue was closed before one would start. Calls wait for it for a
/// moment only: an uplink is recorded without its driver rather than not at all.
async fn start(program: &Program, limits: &Limits, queue: &Queue) -> Option<Process> {
    let starting = start_again_and_again(program, limits, queue);
    let mut starting = std::pin::pin!(starting);
    match timeout(START_PATIENCE, &mut starting).await {
        Ok(started) => started,
        Err(_) => {
            queue.give_up_without_worker();
            starting.await
        }
    }
}

async fn start_again_and_again(
    program: &Program,
    limits: &Limits,
    queue: &Queue,
) -> Option<Process> {
    let mut failures = 0;
    loop {
        if queue.is_closed() {
            return None;
        }
        match Process::start(program, limits).await {
            Ok(process) => return Some(process),
            Err(error) => {
                failures += 1;
                queue.start_failed();
                tracing::error!(%error, driver.failures = failures, "a driver worker does not start");
            }
        }
        if failures >= START_FAILURES_MAX {
            queue.give_up_without_worker();
        }
        sleep(Duration::from_millis(100 << failures.min(5))).await;
    }
}

async fn serve(mut process: Process, limits: &Limits, queue: &Arc<Queue>) -> Served {
    loop {
        let share = tokio::select! {
            share = queue.take() => share,
            () = process.ended() => {
                let cause = process.cause().await;
                tracing::warn!(?cause, "an idle driver worker ended and is replaced");
                queue.observer().worker_ended(WorkerEnd::Outside);
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

/// Has a worker run these calls. Returns the worker if it is still usable.
async fn exchange(
    process: Process,
    limits: &Limits,
    queue: &Queue,
    jobs: VecDeque<Job>,
) -> Option<Process> {
    let mut without_script = VecDeque::new();
    let alive = converse(process, limits, queue, jobs, &mut without_script).await;
    // Together and last, so that they are next in the order in which they came.
    queue.put_back(without_script);
    alive
}

async fn converse(
    mut process: Process,
    limits: &Limits,
    queue: &Queue,
    mut jobs: VecDeque<Job>,
    without_script: &mut VecDeque<Job>,
) -> Option<Process> {
    if process.has_unread() {
        end_forger(process, queue, "it spoke unasked").await;
        queue.put_back(jobs);
        return None;
    }
    let wall_time = Duration::from_millis(limits.wall_time_ms);
    let sent = match batch(&mut process, &mut jobs) {
        Ok(frame) => timeout(wall_time, process.send(&frame))
            .await
            .unwrap_or_else(|_| Err(late())),
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "a driver worker does not take calls");
        process.kill().await;
        blame_for(EndCause::Outside, queue, jobs, limits);
        return None;
    }
    let mut last = None;
    while !jobs.is_empty() {
        let started = Instant::now();
        let reply = match timeout(wall_time, process.receive::<Reply>()).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => {
                charge_first(queue, &mut jobs, &process, started);
                blame_for(process.cause().await, queue, jobs, limits);
                return None;
            }
            Err(_) => {
                charge_first(queue, &mut jobs, &process, started);
                process.kill().await;
                queue.observer().worker_ended(WorkerEnd::WallTime);
                let limit = format!("wall time limit of {} ms reached", limits.wall_time_ms);
                fail_first(queue, jobs, DriverErrorKind::WallTime, &limit);
                return None;
            }
        };
        let Some(mut job) = jobs.pop_front() else {
            break;
        };
        last = Some((job.tenant, job.script.clone()));
        let retiring = reply.retiring;
        match read_reply(&mut process, queue, &mut job, reply) {
            Read::Answer(answer) => job.answer(answer),
            Read::NeedsScript => {
                process.forget(&job.script.digest);
                job.needs_source = true;
                without_script.push_back(job);
            }
            Read::Forged(how) => {
                // The CPU time that it reports is not trusted either.
                queue.charge(&mut job, micros(started.elapsed()));
                jobs.push_front(job);
                end_forger(process, queue, how).await;
                try_again(queue, jobs, "the driver's worker gave a forged answer");
                return None;
            }
        }
        if retiring {
            queue.put_back(jobs);
            process.close().await;
            queue.observer().worker_ended(WorkerEnd::Retired);
            return None;
        }
    }
    if_honest(process, queue, last).await
}

/// Charges a call the cost that its worker reports, and parses the reply.
fn read_reply(process: &mut Process, queue: &Queue, job: &mut Job, reply: Reply) -> Read {
    match process.cost_us(reply.worker_cpu_time_us) {
        Some(cost_us) => {
            queue.charge(job, cost_us);
            reply::read(reply.outcome, job, cost_us)
        }
        None => Read::Forged("it told of a CPU time that cannot be"),
    }
}

/// Returns a worker that has answered all its calls; `last` is the tenant and the script of the last of
/// them. A worker that sends or uses more than that is ended.
async fn if_honest(
    process: Process,
    queue: &Queue,
    last: Option<(i64, Arc<Script>)>,
) -> Option<Process> {
    if process.has_unread() {
        end_forger(process, queue, "it gave more answers than there were calls").await;
        return None;
    }
    if let (Some(hidden_us), Some((tenant, script))) = (process.hidden_cost_us(), last) {
        queue.charge_more(tenant, &script, hidden_us);
        end_forger(process, queue, "it hid CPU time").await;
        return None;
    }
    Some(process)
}

/// Ends a worker that behaves like no genuine one: an attacker who has taken it over must get no further
/// call.
async fn end_forger(process: Process, queue: &Queue, how: &str) {
    tracing::warn!(
        how,
        "a driver worker cannot be trusted any more and is replaced"
    );
    process.kill().await;
    queue.observer().worker_ended(WorkerEnd::Forged);
}

fn batch(process: &mut Process, jobs: &mut VecDeque<Job>) -> std::io::Result<Vec<u8>> {
    for job in jobs.iter_mut() {
        job.source_sent = process.must_send(&job.script.digest) || job.needs_source;
    }
    let calls = jobs
        .iter()
        .map(|job| Call {
            tenant: job.tenant,
            digest: job.script.digest.as_str().into(),
            source: job.source_sent.then(|| job.script.source.as_str().into()),
            task: job.task.clone(),
        })
        .collect();
    protocol::frame(&Batch { calls })
}

/// Settles the calls of a worker that died: the first of them was running.
fn blame_for(cause: EndCause, queue: &Queue, jobs: VecDeque<Job>, limits: &Limits) {
    match cause {
        EndCause::CpuTime => {
            queue.observer().worker_ended(WorkerEnd::CpuTime);
            let called = jobs.front().and_then(Job::called);
            let whose = called.map_or_else(String::new, |name| format!(" that {name} called"));
            let limit = format!(
                "CPU time limit of {} ms reached in native code{whose}",
                limits.cpu_time_ms
            );
            fail_first(queue, jobs, DriverErrorKind::CpuTime, &limit);
        }
        EndCause::Fault { signal } => {
            queue.observer().worker_ended(WorkerEnd::Crashed);
            tracing::error!(driver.signal = signal, "a driver crashed its worker");
            fail_first(
                queue,
                jobs,
                DriverErrorKind::Crashed,
                "the driver crashed its worker",
            );
        }
        EndCause::Outside => {
            queue.observer().worker_ended(WorkerEnd::Outside);
            tracing::warn!("a driver worker was ended from outside");
            try_again(queue, jobs, "the driver's worker was ended from outside");
        }
    }
}

/// Puts the calls back for another worker. The first of them, which was running, fails if it has already
/// been retried.
fn try_again(queue: &Queue, mut jobs: VecDeque<Job>, reason: &str) {
    if let Some(first) = jobs.front_mut() {
        first.attempts += 1;
        if first.attempts >= ATTEMPTS_MAX {
            return fail_first(queue, jobs, DriverErrorKind::Crashed, reason);
        }
    }
    queue.put_back(jobs);
}

/// Charges the call whose worker died: by the kernel's account, or else as long as it held the
/// worker.
fn charge_first(queue: &Queue, jobs: &mut VecDeque<Job>, process: &Process, started: Instant) {
    if let Some(running) = jobs.front_mut() {
        let held_us = micros(started.elapsed());
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
