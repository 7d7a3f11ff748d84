//! A call in the host, and its result.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::dialects::DECODERS;
use super::error::{DriverError, DriverErrorKind};
use super::protocol::Task;
use super::request::{Decoded, Returned, Script};

/// A call that waits or runs.
pub struct Job {
    pub script: Arc<Script>,
    pub task: Task,
    /// Number of workers that ended while they ran the call, for reasons other than the call as far as
    /// known.
    pub attempts: u32,
    /// True once a worker has requested the script: from then on it is always sent.
    pub needs_source: bool,
    /// True if the script was sent to the worker with the call.
    pub source_sent: bool,
    pub tenant: i64,
    /// CPU time that the tenant was charged when the call was dequeued.
    pub charged_us: u64,
    /// Time at which the caller queued it.
    pub queued_at: Instant,
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
            needs_source: false,
            source_sent: false,
            tenant,
            charged_us: 0,
            queued_at: Instant::now(),
            reply,
        }
    }

    /// Returns true if no caller waits for the result any more.
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Returns the function of the script that it calls, as far as the host knows.
    pub fn called(&self) -> Option<&str> {
        match &self.task {
            Task::Check => None,
            Task::Call { function, .. } => Some(function),
            Task::Decode { .. } => DECODERS
                .into_iter()
                .find(|name| has_word(&self.script.source, name)),
        }
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

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

/// Error of a host without a worker.
pub fn no_worker() -> DriverError {
    DriverError::new(
        DriverErrorKind::Unavailable,
        "no driver worker can be started",
    )
}

/// Error of a host that is shutting down.
pub fn shut_down() -> DriverError {
    DriverError::new(
        DriverErrorKind::Overloaded,
        "the driver host is shutting down",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word_of_its_own() {
        for text in ["function decode(b) {}", "decode", "x.decode=1", "ü decode"] {
            assert!(has_word(text, "decode"), "{text}");
        }
        for text in [
            "decodeUplink",
            "predecode",
            "$decode",
            "decode_",
            "décode",
            "",
        ] {
            assert!(!has_word(text, "decode"), "{text}");
        }
    }
}
