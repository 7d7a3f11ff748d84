//! Runs work on dedicated threads of low priority, if it must not wait behind other work in the runtime's
//! thread pool, and if other requests must not wait for it.

use std::{io, thread};

use base::priority;
use tokio::sync::oneshot;

/// Runs work on a dedicated thread of low priority. Dropping the future does not stop the work, so the work
/// itself must hold its place in any limit on concurrency. `None` if the work panicked.
///
/// # Errors
/// Fails if the operating system cannot create a thread.
pub async fn run_apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let (done, outcome) = oneshot::channel();
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(move || {
        priority::lower();
        let _ = done.send(work());
    })?;
    Ok(outcome.await.ok())
}
