//! One worker process seen from the host: start it, exchange frames, learn why it ended.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::protocol::{self, Hello, Ready};
use super::sandbox::CPU_SIGNAL;
use super::{Limits, WORKER_ARGUMENT};

/// How long a worker may take to start, and to end once its socket is closed.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Digests remembered as sent; a wrong guess costs one exchange.
const KNOWN_MAX: usize = 4_096;

/// A running worker. Dropping it kills the process.
pub struct Process {
    child: Child,
    socket: UnixStream,
    buffer: BytesMut,
    frame_bytes_max: usize,
    /// Scripts that the worker was sent, and has unless it made room for others.
    known: HashSet<String>,
    /// CPU time that it has told of.
    cpu_time_us: u64,
}

/// Why a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The kernel ended it at its CPU limit.
    CpuTime,
    /// A fault of its own: a crash, or a forbidden system call.
    Fault { signal: i32 },
    /// Something outside, such as an administrator or the kernel short of memory.
    Outside,
}

impl Process {
    /// Starts a worker and waits until it is shut in and ready.
    pub async fn start(program: &Path, limits: &Limits) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // The command owns the worker's end: it must be gone after the start, so that the end of
        // the worker is the end of the stream.
        let child = Command::new(program)
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

    /// Whether to send the source of a script along: true the first time it is asked.
    pub fn must_send(&mut self, digest: &str) -> bool {
        if self.known.contains(digest) {
            return false;
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(digest.to_owned())
    }

    /// The worker turned out not to have this script.
    pub fn forget(&mut self, digest: &str) {
        self.known.remove(digest);
    }

    pub async fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.socket.write_all(frame).await
    }

    /// The next frame.
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

    /// What a call has cost, by the worker's clock after it.
    pub fn cost_us(&mut self, worker_cpu_time_us: u64) -> u64 {
        let before_us = std::mem::replace(&mut self.cpu_time_us, worker_cpu_time_us);
        worker_cpu_time_us.saturating_sub(before_us)
    }

    /// What a call has cost that the worker no longer tells of, by the kernel's account; `None`
    /// where this kernel keeps none.
    pub fn unreported_cost_us(&self) -> Option<u64> {
        let account = std::fs::read_to_string(format!("/proc/{}/schedstat", self.child.id()?));
        let cpu_time_ns: u64 = account.ok()?.split_whitespace().next()?.parse().ok()?;
        Some((cpu_time_ns / 1_000).saturating_sub(self.cpu_time_us))
    }

    /// Waits until an idle worker ends (or speaks unasked, which is as bad). May be cancelled.
    pub async fn ended(&mut self) {
        // Whatever it reads, the worker is of no more use. A true read: readiness alone can be stale.
        let _ = self.socket.read_buf(&mut self.buffer).await;
    }

    /// Why the worker ended; it is killed where it has not, such as after a broken frame.
    pub async fn death(mut self) -> Death {
        match timeout(END_TIMEOUT, self.child.wait()).await {
            Ok(Ok(status)) => classify(status),
            _ => {
                self.kill().await;
                Death::Outside
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
            // Killed when dropped; waiting again would gain nothing.
            tracing::warn!("a driver worker did not end by itself and is killed");
        }
    }
}

fn classify(status: ExitStatus) -> Death {
    match status.signal() {
        Some(signal) if signal == CPU_SIGNAL as i32 => Death::CpuTime,
        Some(signal) if signal == Signal::SIGKILL as i32 || signal == Signal::SIGTERM as i32 => {
            Death::Outside
        }
        Some(signal) => Death::Fault { signal },
        None => Death::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_tells_why_a_worker_ended() {
        let ended_by = |signal: Signal| classify(ExitStatus::from_raw(signal as i32));
        assert_eq!(ended_by(Signal::SIGPROF), Death::CpuTime);
        assert_eq!(ended_by(Signal::SIGKILL), Death::Outside);
        assert_eq!(
            ended_by(Signal::SIGSEGV),
            Death::Fault {
                signal: Signal::SIGSEGV as i32
            }
        );
        assert_eq!(classify(ExitStatus::from_raw(1 << 8)), Death::Outside);
    }
}
