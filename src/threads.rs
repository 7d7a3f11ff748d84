//! Runs work on dedicated threads of low priority, if it must not wait behind other work in the runtime's
//! thread pool, and if other requests must not wait for it.

use std::thread;

use base::priority;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Runs work on a dedicated thread of low priority. Dropping the future does not stop the work, so the work
/// itself must hold its place in any limit on concurrency.
///
/// # Errors
/// Fails as the work does, and with an internal error if the operating system cannot create a thread or the work
/// panics.
pub async fn run_apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (done, outcome) = oneshot::channel();
    let thread = thread::Builder::new().name(name.to_owned());
    let started = thread.spawn(move || {
        priority::lower();
        let _ = done.send(work());
    });
    started.map_err(Error::internal)?;
    let lost = |_| Error::internal(format!("the thread \"{name}\" panicked"));
    outcome.await.map_err(lost)?
}
