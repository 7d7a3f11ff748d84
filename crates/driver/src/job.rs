//! One call on its way through the host, and its answer.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::dialects::DECODERS;
use super::error::{DriverError, DriverErrorKind};
use super::protocol::Task;
use super::request::{Decoded, Returned, Script};

/// A call that waits or runs.
pub struct Job {
    pub script: Arc<Script>,
    pub task: Task,
    /// Workers that ended while they ran it, through no fault of its own that is known.
    pub attempts: u32,
    /// A worker has asked for its script: from now on that goes along.
    pub needs_source: bool,
    /// Its worker was sent the script with it.
    pub source_sent: bool,
    pub tenant: i64,
    /// CPU time that its tenant was charged when it was taken.
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
            needs_source: false,
            source_sent: false,
            tenant,
            charged_us: 0,
            reply,
        }
    }

    /// Returns whether nobody waits for its answer any more.
    pub fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// The function of the script that it calls, as far as the host can tell.
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

/// The answer of a host that has no worker.
pub fn no_worker() -> DriverError {
    DriverError::new(
        DriverErrorKind::Unavailable,
        "no driver worker can be started",
    )
}

/// The answer of a host that takes no more calls.
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
