//! Reports of the host about its work, for metrics.

use std::time::Duration;

use super::error::DriverErrorKind;

/// Receives the host's reports. Called while calls are in progress, so it must not block.
pub trait Observer: Send + Sync {
    /// A call was passed to a worker, after this time in the queue.
    fn call_dequeued(&self, waited: Duration);
    /// A call was answered; `None` if it succeeded.
    fn call_answered(&self, failure: Option<DriverErrorKind>);
    /// A call has cost this CPU time.
    fn cpu_time_used(&self, time: Duration);
    /// A worker has ended.
    fn worker_ended(&self, end: WorkerEnd);
}

/// Reason why a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerEnd {
    /// Killed: a call reached the CPU time limit in native code.
    CpuTime,
    /// Killed: a call reached the wall time limit.
    WallTime,
    /// A driver crashed it.
    Crashed,
    /// Ended from outside, for instance because the machine has no memory left.
    Outside,
    /// Killed: its replies were not genuine.
    Forged,
    /// Replaced as planned.
    Retired,
    /// Killed: it took no calls, or the work with it failed.
    Broken,
}

impl WorkerEnd {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::CpuTime,
        Self::WallTime,
        Self::Crashed,
        Self::Outside,
        Self::Forged,
        Self::Retired,
        Self::Broken,
    ];

    /// The reason's name in snake_case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CpuTime => "cpu_time",
            Self::WallTime => "wall_time",
            Self::Crashed => "crashed",
            Self::Outside => "outside",
            Self::Forged => "forged",
            Self::Retired => "retired",
            Self::Broken => "broken",
        }
    }
}

/// State of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Number of calls that wait for a worker.
    pub waiting: usize,
    /// Number of workers.
    pub workers: usize,
    /// Number of workers that have calls.
    pub busy: usize,
}

/// Ignores all reports.
pub struct Unobserved;

impl Observer for Unobserved {
    fn call_dequeued(&self, _: Duration) {}
    fn call_answered(&self, _: Option<DriverErrorKind>) {}
    fn cpu_time_used(&self, _: Duration) {}
    fn worker_ended(&self, _: WorkerEnd) {}
}
