//! Priority of threads.

/// Niceness of threads with low priority. On a busy machine such a thread gets a third of the processor time
/// that one of normal priority gets.
const NICENESS: i32 = 5;

/// Lowers the priority of this thread for the rest of its life: Linux applies niceness to threads. If the
/// system refuses, the work is done at normal priority.
pub fn lower() {
    let _ = rustix::process::nice(NICENESS);
}
