//! Work on threads of its own, for what must not wait behind the work of others on the runtime's.

use std::{io, thread};

use tokio::sync::oneshot;

/// Does work on a thread of its own. Whoever gives up waiting leaves the work to its end, so the work must hold
/// its own place among those that may run at a time. `None`: the work panicked.
///
/// # Errors
/// When the machine gives no thread.
pub async fn run_apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let (done, outcome) = oneshot::channel();
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(move || {
        let _ = done.send(work());
    })?;
    Ok(outcome.await.ok())
}
