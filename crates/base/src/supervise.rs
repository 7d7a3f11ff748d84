//! Starts every task that lives as long as the hub, or as long as something that it serves.
//!
//! A panic in such a task must not go unnoticed: its service would stop for ever while everything else looks
//! healthy. Here it is logged with the task's name, and the task restarts with the state that it had. A task
//! that cannot restart ends the hub, which the service manager then restarts.
//!
//! A piece of work with a caller that waits for it is [`attempted`]: its panic becomes an error for that
//! caller alone. Tasks that end by themselves within a limit need none of this;
//! `tests/hub/contract/drift.rs` lists them.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, resume_unwind},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Wait before a task restarts; it doubles each time that the task panics soon after.
const AGAIN_MIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// Time without a panic after which the wait starts from the beginning.
const GOOD: Duration = Duration::from_secs(300);

/// Spawns a task that restarts, with its state at that moment, whenever it panics.
pub fn spawn<S, T>(
    name: &'static str,
    state: S,
    run: impl for<'a> Fn(&'a mut S) -> BoxFuture<'a, T> + Send + 'static,
) -> JoinHandle<T>
where
    S: Send + 'static,
    T: Send + 'static,
{
    tokio::spawn(lasting(name, state, run))
}

/// Returns the work that [`spawn`] spawns, for callers with a task set of their own.
pub async fn lasting<S, T>(
    name: &'static str,
    mut state: S,
    run: impl for<'a> Fn(&'a mut S) -> BoxFuture<'a, T>,
) -> T {
    let mut waits = Waits::default();
    loop {
        let began = Instant::now();
        let ended = AssertUnwindSafe(run(&mut state)).catch_unwind().await;
        let panic = match ended {
            Ok(value) => return value,
            Err(panic) => panic,
        };
        let wait = waits.after(began.elapsed());
        tracing::error!(
            task = name,
            "a task broke and begins again in {} s: {}",
            wait.as_secs(),
            words(&*panic)
        );
        sleep(wait).await;
    }
}

/// The waits before restarts of a task.
#[derive(Default)]
struct Waits {
    last: Option<Duration>,
}

impl Waits {
    /// Returns the next wait, for a task that ran for this long.
    fn after(&mut self, ran: Duration) -> Duration {
        let last = self.last.filter(|_| ran < GOOD);
        let wait = last.map_or(AGAIN_MIN, |last| (last * 2).min(AGAIN_MAX));
        self.last = Some(wait);
        wait
    }
}

/// Spawns a task that cannot restart: `broken` is cancelled if it panics, and joining it returns the panic.
pub fn spawn_vital<T: Send + 'static>(
    name: &'static str,
    broken: CancellationToken,
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(async move {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(value) => value,
            Err(panic) => {
                let words = words(&*panic);
                tracing::error!(task = name, "a task broke, and the hub ends: {words}");
                broken.cancel();
                resume_unwind(panic)
            }
        }
    })
}

/// The error of a piece of work that panicked.
#[derive(Debug, thiserror::Error)]
#[error("a panic: {0}")]
pub struct Panic(String);

/// Runs a piece of work and turns a panic into an error for the caller.
pub async fn attempted<T>(name: &'static str, work: impl Future<Output = T>) -> Result<T, Panic> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .map_err(|panic| {
            let words = words(&*panic);
            tracing::error!(task = name, "a piece of work broke: {words}");
            Panic(words.to_owned())
        })
}

/// Returns the message of a panic.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words")
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    /// Adds up what it gets, and breaks at a zero.
    async fn add(state: &mut (mpsc::Receiver<u32>, u32)) -> u32 {
        while let Some(number) = state.0.recv().await {
            assert_ne!(number, 0, "a zero");
            state.1 += number;
        }
        state.1
    }

    #[tokio::test]
    async fn a_task_that_breaks_goes_on_with_what_it_had() {
        let (sender, numbers) = mpsc::channel(10);
        let adding = spawn("adder", (numbers, 0), |state| add(state).boxed());
        for number in [1, 2, 0, 3, 4] {
            sender.send(number).await.unwrap();
        }
        drop(sender);
        assert_eq!(adding.await.unwrap(), 10);
    }

    #[test]
    fn one_that_breaks_soon_is_begun_ever_less_often() {
        let mut waits = Waits::default();
        let soon = Duration::from_secs(1);
        let mut next = |ran| waits.after(ran).as_secs();
        let told: Vec<u64> = (0..8).map(|_| next(soon)).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!([next(GOOD), next(soon), next(GOOD)], [1, 2, 1]);
    }

    #[tokio::test]
    async fn a_vital_task_that_breaks_says_so() {
        let broken = CancellationToken::new();
        let fine = spawn_vital("fine", broken.clone(), async { 7 });
        assert_eq!(fine.await.unwrap(), 7);
        assert!(!broken.is_cancelled());
        let task = spawn_vital("vital", broken.clone(), async { panic!("on purpose") });
        broken.cancelled().await;
        let ended: Result<(), _> = task.await;
        assert!(ended.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn work_that_breaks_is_an_error() {
        let fine = attempted("work", async { 7 }).await;
        assert_eq!(fine.unwrap(), 7);
        let broken: Result<(), _> = attempted("work", async { panic!("at {}", 7) }).await;
        assert_eq!(broken.unwrap_err().to_string(), "a panic: at 7");
    }
}
