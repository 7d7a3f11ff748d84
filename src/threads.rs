//! Runs work on dedicated threads of low priority, if it must not wait behind other work in the runtime's
//! thread pool, and if other requests must not wait for it.

use std::{sync::Arc, thread};

use base::priority;
use tokio::sync::{OnceCell, oneshot};
use tracing::Instrument;

use crate::error::{Error, Result};

/// Runs work on a dedicated thread of low priority. Dropping the future does not stop the work, so the work keeps
/// its place in the limit on such work, `place`, until its end.
///
/// # Errors
/// Fails as the work does, and with an internal error if the operating system cannot create a thread or the work
/// panics.
pub async fn run_apart<P: Send + 'static, T: Send + 'static>(
    name: &str,
    place: P,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (done, outcome) = oneshot::channel();
    let thread = thread::Builder::new().name(name.to_owned());
    let started = thread.spawn(move || {
        priority::lower();
        let outcome = work();
        // Before the outcome is known, so that whoever knows it finds the place free.
        drop(place);
        let _ = done.send(outcome);
    });
    started.map_err(Error::internal)?;
    let lost = |_| Error::internal(format!("the thread \"{name}\" panicked"));
    outcome.await.map_err(lost)?
}

/// Value that is made apart when it is first needed, and once. Cheap to clone.
pub struct Made<T>(Arc<OnceCell<T>>);

impl<T> Default for Made<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Send + Sync + 'static> Made<T> {
    /// Returns the value, which the first call makes. If that call is cancelled, the value is made for the others
    /// nevertheless: otherwise each client that hangs up would begin it anew.
    ///
    /// # Errors
    /// Fails if the operating system cannot create a thread, or if `make` panics. The next call tries again.
    pub async fn get(
        &self,
        name: &'static str,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> Result<&T> {
        if self.0.get().is_none() {
            let cell = self.0.clone();
            let making = async move {
                // The cell is the limit: it lets one make the value at a time.
                let making = cell.get_or_try_init(|| run_apart(name, (), || Ok(make())));
                making.await.map(|_| ())
            };
            let made = tokio::spawn(making.in_current_span()).await;
            made.map_err(Error::internal)??;
        }
        let lost = || Error::internal(format!("\"{name}\" was not made"));
        self.0.get().ok_or_else(lost)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn the_place_is_kept_by_the_work_of_a_cancelled_call() {
        let (place, end) = (Arc::new(()), mpsc::channel::<()>());
        let (go_on, may_go_on) = end;
        let (begun, has_begun) = oneshot::channel();
        let kept = place.clone();
        let call = run_apart("test", kept, move || {
            let _ = begun.send(());
            let _ = may_go_on.recv();
            Ok(())
        });
        tokio::select! {
            _ = call => unreachable!("it waits"),
            begun = has_begun => begun.unwrap(),
        }
        assert_eq!(Arc::strong_count(&place), 2);
        drop(go_on);
        while Arc::strong_count(&place) > 1 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_value_is_made_once_although_its_callers_hang_up() {
        let (made, times) = (Made::default(), Arc::new(AtomicUsize::new(0)));
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let counted = times.clone();
        let first = made.get("test", move || {
            let _ = begun.send(());
            let _ = may_go_on.recv();
            counted.fetch_add(1, Ordering::SeqCst) + 1
        });
        tokio::select! {
            _ = first => unreachable!("it waits"),
            begun = has_begun => begun.unwrap(),
        }
        let again = || {
            let counted = times.clone();
            made.get("test", move || counted.fetch_add(1, Ordering::SeqCst) + 1)
        };
        for _ in 0..3 {
            assert!(futures_util::poll!(std::pin::pin!(again())).is_pending());
        }
        drop(go_on);
        assert_eq!(*again().await.unwrap(), 1);
        assert_eq!(times.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_value_that_could_not_be_made_is_tried_again() {
        let made = Made::default();
        assert!(made.get("test", || panic!("on purpose")).await.is_err());
        assert_eq!(*made.get("test", || 7).await.unwrap(), 7);
    }
}
