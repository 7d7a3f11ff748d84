//! One call on its way through the host, and its answer.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::protocol::Task;
use super::{Decoded, DriverError, DriverErrorKind, Returned, Script};

/// A call that waits or runs.
pub struct Job {
    pub script: Arc<Script>,
    pub task: Task,
    /// Workers that were ended from outside while they ran it.
    pub attempts: u32,
    pub tenant: i64,
    /// What its tenant was charged when it was taken.
    pub charged_us: u64,
    reply: oneshot::Sender<Result<Answer, DriverError>>,
}

#[derive(Debug)]
pub enum Answer {
    Decoded(Decoded),
    Returned(Returned),
    Checked(Vec<String>),
}

impl Job {
    pub fn new(
        tenant: i64,
        script: Arc<Script>,
        task: Task,
        reply: oneshot::Sender<Result<Answer, DriverError>>,
    ) -> Self {
        Self {
            script,
            task,
            attempts: 0,
            tenant,
            charged_us: 0,
            reply,
        }
    }

    /// Whether nobody waits for its answer any more.
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    pub fn answer(self, answer: Result<Answer, DriverError>) {
        // A caller that has gone away needs no answer.
        let _ = self.reply.send(answer);
    }

    pub fn fail(self, kind: DriverErrorKind, message: &str) {
        let cpu_time_us = self.charged_us;
        self.answer(Err(DriverError {
            cpu_time_us,
            ..DriverError::new(kind, message)
        }));
    }
}

/// The answer of a host that takes no more calls.
pub fn shut_down() -> DriverError {
    DriverError::new(
        DriverErrorKind::Overloaded,
        "the driver host is shutting down",
    )
}
