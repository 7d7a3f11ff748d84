//! The process: memory, CPU time and file descriptors, under the names that Prometheus's own libraries use.

use std::sync::{Mutex, PoisonError};

use prometheus::{Counter, Gauge, IntGauge};

use super::{family::Family, readings::whole};

/// Metrics of the process.
pub struct Process {
    cpu: Counter,
    /// CPU time of the counter; locked while it is moved on.
    counted: Mutex<f64>,
    resident: IntGauge,
    virtual_memory: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
}

impl Process {
    pub(super) fn new(family: &Family<'_>) -> Self {
        let started: Gauge = family.float_gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
        );
        #[expect(clippy::cast_precision_loss, reason = "exact for 200 years")]
        started.set(base::clock::now().timestamp_micros() as f64 / 1e6);
        Self {
            cpu: family.float_counter(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds, without the driver workers.",
            ),
            counted: Mutex::default(),
            resident: family.gauge(
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
            ),
            virtual_memory: family.gauge(
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
            ),
            open_fds: family.gauge("process_open_fds", "Number of open file descriptors."),
            max_fds: family.gauge(
                "process_max_fds",
                "Maximum number of open file descriptors.",
            ),
            threads: family.gauge("process_threads", "Number of threads."),
        }
    }

    /// Reads the current values. Those that the kernel does not give stay as they are.
    pub fn read(&self) {
        let Ok(process) = procfs::process::Process::myself() else {
            return;
        };
        if let Ok(stat) = process.stat() {
            #[expect(clippy::cast_precision_loss, reason = "exact for years of CPU time")]
            let used = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            if used > *counted {
                self.cpu.inc_by(used - *counted);
                *counted = used;
            }
            let resident = stat.rss.saturating_mul(procfs::page_size());
            self.resident
                .set(i64::try_from(resident).unwrap_or(i64::MAX));
            self.virtual_memory
                .set(i64::try_from(stat.vsize).unwrap_or(i64::MAX));
            self.threads.set(stat.num_threads);
        }
        if let Ok(count) = process.fd_count() {
            self.open_fds.set(whole(count));
        }
        if let Ok(limits) = process.limits()
            && let procfs::process::LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            self.max_fds.set(i64::try_from(most).unwrap_or(i64::MAX));
        }
    }
}
