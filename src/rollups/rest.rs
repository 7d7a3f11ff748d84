//! Pauses of the job, which leave the processor and the writer to uplinks while there are any.

use std::time::Duration;

use crate::store::Store;

/// Kind of work before a pause.
#[derive(Debug, Clone, Copy)]
pub enum After {
    /// Reads, which need the processor.
    Reading,
    /// A transaction with its reads, which also holds the writer.
    Writing,
}

/// Returns the pause after work that took this time. There is none while no messages arrive, except after writes to a
/// database that other hubs may use.
pub fn pause(store: &Store, after: After, took: Duration) -> Duration {
    let is_busy = store.is_recording();
    let reading = match is_busy {
        true => store.pause_after_read(took),
        false => Duration::ZERO,
    };
    match after {
        After::Writing if is_busy || store.is_shared() => reading.max(store.pause_after(took)),
        After::Reading | After::Writing => reading,
    }
}
