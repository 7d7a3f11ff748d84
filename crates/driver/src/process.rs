//! A worker process from the host's side: starts it, exchanges frames, and finds out why it ended.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, recv};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::limits::Limits;
use super::program::{Program, WORKER_ARGUMENT};
use super::protocol::{self, Hello, Ready, VERSION};
use super::sandbox::CPU_SIGNAL;

/// Maximum time for a worker to start, and to end once its socket is closed.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Digests remembered as sent; a wrong guess costs one exchange.
const KNOWN_MAX: usize = 4_096;

/// CPU time beyond the elapsed time that a worker may report, because the two clocks differ.
const CLOCK_SLACK_US: u64 = 100_000;
/// CPU time that a worker may leave unreported.
const HIDDEN_MAX_US: u64 = 10_000;

/// A running worker. Dropping it kills the process.
pub struct Process {
    child: Child,
    socket: UnixStream,
    buffer: BytesMut,
    frame_bytes_max: usize,
    /// Scripts that were sent to the worker, which it has unless it evicted them.
    known: HashSet<String>,
    /// CPU time that the worker has reported.
    cpu_time_us: u64,
    batch: BatchClock,
}

/// Limits of the CPU time that a worker can have used since it got its last batch.
struct BatchClock {
    started: Instant,
    /// CPU time of the worker at that moment.
    from_us: u64,
    /// Sum of the accepted costs since then.
    believed_us: u64,
}

/// Why a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// The kernel ended it at its CPU limit.
    CpuTime,
    /// The worker itself failed: a crash, or a forbidden system call.
    Fault { signal: i32 },
    /// It was killed from outside, such as by an administrator or by the kernel for lack of memory.
    Outside,
}

impl Process {
    /// Starts a worker and waits until it is sandboxed and ready.
    pub async fn start(program: &Program, limits: &Limits) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // The command owns the worker's end: it must be gone after the start, so that the end of
        // the worker is the end of the stream.
        let child = Command::from(program.command())
            .arg(WORKER_ARGUMENT)
            .env_clear()
            // A zone by rule rather than by name needs no file.
            .env("TZ", "UTC0")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal is for the host, which lets calls finish.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut process = Self {
            child,
            socket: UnixStream::from_std(ours)?,
            buffer: BytesMut::new(),
            frame_bytes_max: protocol::reply_bytes_max(limits),
            known: HashSet::new(),
            cpu_time_us: 0,
            batch: BatchClock {
                started: Instant::now(),
                from_us: 0,
                believed_us: 0,
            },
        };
        let hello = protocol::frame(&Hello {
            limits: limits.clone(),
        })?;
        let ready: Ready = timeout(START_TIMEOUT, async {
            process.send(&hello).await?;
            process.receive().await
        })
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "driver worker does not start"))??;
        if ready.version != VERSION {
            let theirs = match ready.version.as_str() {
                "" => "another version".to_owned(),
                version => format!("version {version}"),
            };
            return Err(io::Error::other(format!(
                "the program of driver workers is {theirs}, and the hub is version {VERSION}"
            )));
        }
        process.cpu_time_us = ready.worker_cpu_time_us;
        if limits.sandbox_required && !ready.missing.is_empty() {
            let missing = ready.missing.join("; ");
            return Err(io::Error::other(format!(
                "this system lacks protections of driver workers, and they are required: {missing}"
            )));
        }
        for protection in ready.missing {
            tracing::warn!(
                driver.protection = protection,
                "a protection of driver workers is not available on this system; \
                 drivers run with the remaining ones"
            );
        }
        Ok(process)
    }

    /// Returns true if the source of a script should be sent along, which is so on the first request.
    pub fn must_send(&mut self, digest: &str) -> bool {
        if self.known.contains(digest) {
            return false;
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(digest.to_owned())
    }

    /// Records that the worker does not have this script.
    pub fn forget(&mut self, digest: &str) {
        self.known.remove(digest);
    }

    pub async fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.batch = BatchClock {
            started: Instant::now(),
            from_us: self.cpu_time_us,
            believed_us: 0,
        };
        self.socket.write_all(frame).await
    }

    /// Returns true if the worker has sent more than was requested, which would be mistaken for the reply to
    /// the next call.
    pub fn has_unread(&self) -> bool {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let peeked = recv(self.socket.as_raw_fd(), &mut [0], flags);
        !self.buffer.is_empty() || peeked.is_ok_and(|bytes| bytes > 0)
    }

    /// Reads the next frame.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        loop {
            if let Some(body) = protocol::take_frame(&mut self.buffer, self.frame_bytes_max)? {
                return protocol::parse(&body);
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Returns the cost of a call, by the worker's clock after it; `None` if the value is impossible: the
    /// clock only runs forward, and a single thread cannot use more time than has elapsed.
    pub fn cost_us(&mut self, worker_cpu_time_us: u64) -> Option<u64> {
        let cost_us = worker_cpu_time_us.checked_sub(self.cpu_time_us)?;
        let in_batch_us = worker_cpu_time_us.checked_sub(self.batch.from_us)?;
        let passed_us = micros(self.batch.started.elapsed());
        let most_us = passed_us + passed_us / 10 + CLOCK_SLACK_US;
        if in_batch_us > most_us {
            return None;
        }
        self.cpu_time_us = worker_cpu_time_us;
        let believed_us = cost_us.min(passed_us.saturating_sub(self.batch.believed_us));
        self.batch.believed_us += believed_us;
        Some(believed_us)
    }

    /// Returns the CPU time that the worker has used for a batch and not reported. The kernel is only asked
    /// if there was time for it.
    pub fn hidden_cost_us(&self) -> Option<u64> {
        let passed_us = micros(self.batch.started.elapsed());
        let may_hide = passed_us > self.batch.believed_us + HIDDEN_MAX_US;
        let hidden_us = may_hide.then(|| self.unreported_cost_us())??;
        Some(hidden_us).filter(|us| *us > HIDDEN_MAX_US)
    }

    /// Returns the cost of a call that the worker no longer reports, by the kernel's account; `None` if this
    /// kernel keeps none.
    pub fn unreported_cost_us(&self) -> Option<u64> {
        let account = std::fs::read_to_string(format!("/proc/{}/schedstat", self.child.id()?));
        let cpu_time_ns: u64 = account.ok()?.split_whitespace().next()?.parse().ok()?;
        Some((cpu_time_ns / 1_000).saturating_sub(self.cpu_time_us))
    }

    /// Waits until an idle worker ends (or speaks unasked, which is as bad). May be cancelled.
    pub async fn ended(&mut self) {
        // The worker is unusable whatever is read. A real read, because readiness alone can be stale.
        let _ = self.socket.read_buf(&mut self.buffer).await;
    }

    /// Returns the reason why the worker ended. Kills it if it is still running, such as after an invalid
    /// frame.
    pub async fn cause(mut self) -> EndCause {
        match timeout(END_TIMEOUT, self.child.wait()).await {
            Ok(Ok(status)) => classify(status),
            _ => {
                self.kill().await;
                EndCause::Outside
            }
        }
    }

    pub async fn kill(mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "a driver worker could not be killed");
        }
    }

    /// Lets an idle worker end by itself.
    pub async fn close(self) {
        let Self {
            mut child, socket, ..
        } = self;
        drop(socket);
        if timeout(END_TIMEOUT, child.wait()).await.is_err() {
            // It is killed on drop; waiting again would be pointless.
            tracing::warn!("a driver worker did not end by itself and is killed");
        }
    }
}

/// A length of time as whole microseconds.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn classify(status: ExitStatus) -> EndCause {
    match status.signal() {
        Some(signal) if signal == CPU_SIGNAL as i32 => EndCause::CpuTime,
        Some(signal) if signal == Signal::SIGKILL as i32 || signal == Signal::SIGTERM as i32 => {
            EndCause::Outside
        }
        Some(signal) => EndCause::Fault { signal },
        None => EndCause::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_tells_why_a_worker_ended() {
        let ended_by = |signal: Signal| classify(ExitStatus::from_raw(signal as i32));
        assert_eq!(ended_by(Signal::SIGPROF), EndCause::CpuTime);
        assert_eq!(ended_by(Signal::SIGKILL), EndCause::Outside);
        assert_eq!(
            ended_by(Signal::SIGSEGV),
            EndCause::Fault {
                signal: Signal::SIGSEGV as i32
            }
        );
        assert_eq!(classify(ExitStatus::from_raw(1 << 8)), EndCause::Outside);
    }
}
