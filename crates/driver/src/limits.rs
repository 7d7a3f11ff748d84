//! The limits of one call, and of the calls that wait.

use serde::{Deserialize, Serialize};

/// Limits of each call, and of the calls that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Worker processes.
    pub workers: usize,
    /// CPU time of one call; a native loop, which cannot check the limit, gets 50 ms more.
    pub cpu_time_ms: u64,
    /// Time after which a worker that has not answered a call is killed.
    pub wall_time_ms: u64,
    /// Memory of one call's JavaScript heap.
    pub memory_bytes: usize,
    /// JavaScript stack of one call.
    pub stack_bytes: usize,
    /// Size of the result as JSON.
    pub output_bytes: usize,
    /// Lines that a driver may log in one call; further ones are dropped.
    pub log_lines: usize,
    /// Promise jobs that one call may run.
    pub pending_jobs: usize,
    /// Calls that may wait for a worker; further ones fail with `Overloaded`.
    pub queue: usize,
    /// Calls of one tenant that may wait for a worker.
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
