//! Work of which the other end of a connection chooses the size, within a bound: rounds of hashing for a proof of
//! a password, long answers to read. It is done on threads beside the runtime, a few at a time for the whole hub
//! and one at a time for each target.

use std::{
    sync::{Arc, LazyLock},
    thread,
};

use tokio::sync::{Semaphore, oneshot};

/// Pieces of work at the same time, of all targets together: everything else goes on beside them.
const AT_ONCE: usize = 2;
/// And of one target among them.
const AT_ONCE_EACH: usize = 1;

static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

/// The turns of one target. Cheap to clone.
#[derive(Clone)]
pub struct HeavyWork {
    turn: Arc<Semaphore>,
}

impl Default for HeavyWork {
    fn default() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(AT_ONCE_EACH)),
        }
    }
}

impl HeavyWork {
    /// Does this work on a thread of its own, in its turn. Nothing, when the machine gives no thread.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // Its own turn first, so that one target takes no more than one place in the queue of all. Who gives up
        // waiting leaves the work, and its places, to their end.
        let turn = self.turn.clone().acquire_owned().await.ok()?;
        let place = PLACES.clone().acquire_owned().await.ok()?;
        let (done, outcome) = oneshot::channel();
        let work = move || {
            let _ = done.send(work());
            drop((turn, place));
        };
        let thread = thread::Builder::new()
            .name("heavy work".to_owned())
            .spawn(work);
        thread.ok()?;
        outcome.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn who_gives_up_leaves_the_place_to_the_work() {
        let heavy = HeavyWork::default();
        let (begun, has_begun) = oneshot::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let mut first = Box::pin(heavy.run(move || {
            let _ = begun.send(());
            let _ = may_go_on.recv();
        }));
        tokio::select! {
            _ = &mut first => unreachable!("it waits"),
            begun = has_begun => begun.unwrap(),
        }
        drop(first);
        assert_eq!(heavy.turn.available_permits(), 0);
        go_on.send(()).unwrap();
        assert_eq!(heavy.run(|| 7).await, Some(7));
    }

    #[tokio::test]
    async fn all_targets_share_the_places() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(0)));
        let works = (0..16).map(|_| {
            let (running, most) = (running.clone(), most.clone());
            async move {
                let work = move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    let mut most = most.lock().unwrap();
                    *most = now.max(*most);
                    drop(most);
                    thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                HeavyWork::default().run(work).await
            }
        });
        futures_util::future::join_all(works).await;
        assert!(*most.lock().unwrap() <= AT_ONCE);
    }
}
