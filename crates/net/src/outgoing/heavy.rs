//! Work whose size the peer chooses, within a limit: rounds of hashing for the proof of a password, or long
//! responses to parse. It runs on threads outside the runtime, a few at a time for the whole hub and one at
//! a time for each target.

use std::{
    sync::{Arc, LazyLock},
    thread,
};

use base::priority;
use tokio::sync::{Semaphore, oneshot};

/// Maximum number of pieces of work at a time for all targets, so that other work continues beside them.
const AT_ONCE: usize = 2;
/// Maximum number of pieces of work at a time for one target.
const AT_ONCE_EACH: usize = 1;

static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

/// The limit of one target. Cheap to clone.
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
    /// Runs work on a dedicated thread, in its turn. `None` if the operating system cannot create a thread.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // The target's own turn comes first, so that one target takes no more than one place in the queue of
        // all. If the caller gives up, the work and its places stay until its end.
        let turn = self.turn.clone().acquire_owned().await.ok()?;
        let place = PLACES.clone().acquire_owned().await.ok()?;
        let (done, outcome) = oneshot::channel();
        let work = move || {
            priority::lower();
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
