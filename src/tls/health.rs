//! The state of the certificate, which metrics and the readiness probe show.

use std::sync::{Arc, PoisonError, RwLock};

use crate::clock::{self, Time};

/// State of the certificate that new connections use. Cheap to clone; all clones show the same state.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<RwLock<State>>);

#[derive(Debug, Clone, Copy, Default)]
struct State {
    end: Option<Time>,
    is_stuck: bool,
}

impl Health {
    /// Returns the expiry of the certificate; `None` if it cannot be read.
    pub fn end(&self) -> Option<Time> {
        self.now().end
    }

    /// True while the files that should replace the certificate cannot be used, or the hub's own certificate cannot
    /// be renewed.
    pub fn is_stuck(&self) -> bool {
        self.now().is_stuck
    }

    /// Describes what is wrong, without paths: anybody may read it.
    pub fn problems(&self) -> Vec<String> {
        let State { end, is_stuck } = self.now();
        let has_ended = end.is_some_and(|end| end <= clock::now());
        let mut problems = Vec::new();
        if is_stuck {
            let until = match end {
                Some(end) if !has_ended => format!(" until {end}"),
                _ => String::new(),
            };
            problems.push(format!(
                "the new certificate cannot be used: the previous one stays in force{until}; the log has the cause"
            ));
        }
        if let Some(end) = end.filter(|_| has_ended) {
            problems.push(format!("the certificate has expired, at {end}"));
        }
        problems
    }

    pub(super) fn note_end(&self, end: Option<Time>) {
        self.change(|state| state.end = end);
    }

    pub(super) fn note_reload(&self, is_fine: bool) {
        self.change(|state| state.is_stuck = !is_fine);
    }

    fn now(&self) -> State {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}
