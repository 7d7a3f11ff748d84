//! The limits of one call, and of the calls that wait.

use serde::{Deserialize, Serialize};

/// Limits of each call, and of the calls that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Worker processes.
    pub workers: usize,
    /// CPU time of one call; a native loop that cannot be asked to stop gets 50 ms more.
    pub cpu_time_ms: u64,
    /// The backstop: a worker that has not answered a call for so long is killed.
    pub wall_time_ms: u64,
    /// Memory of one call's JavaScript heap.
    pub memory_bytes: usize,
    /// JavaScript stack of one call.
    pub stack_bytes: usize,
    /// Size of the decoded JSON.
    pub output_bytes: usize,
    /// Lines a driver may log in one call; the rest is left out.
    pub log_lines: usize,
    /// Promise jobs that one call may run.
    pub pending_jobs: usize,
    /// Calls that may wait for a worker; beyond, a call fails with `Overloaded`.
    pub queue: usize,
    /// The same for the calls of one tenant.
    pub tenant_queue: usize,
    /// True if workers run only on a kernel that has every protection.
    pub sandbox_required: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: 2,
            cpu_time_ms: 50,
            wall_time_ms: 5_000,
            memory_bytes: 32 << 20,
            stack_bytes: 256 << 10,
            output_bytes: 64 << 10,
            log_lines: 100,
            pending_jobs: 1_000,
            queue: 4_096,
            tenant_queue: 1_024,
            sandbox_required: false,
        }
    }
}
