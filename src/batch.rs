//! Batches without a timer: all waiting items are taken together, and a batch that fails as a whole is split
//! to find the item that fails.

use futures_util::FutureExt;
use tokio::sync::mpsc::Receiver;

use crate::supervise;

/// Takes all waiting items, and waits only if there are none. Returns their number; 0 if the channel is
/// closed.
///
/// Yields first so that tasks that are about to send can do so: a batch costs much the same for one item as
/// for fifty.
pub async fn take<T>(waiting: &mut Receiver<T>, batch: &mut Vec<T>, max: usize) -> usize {
    let mut taken = waiting.recv_many(batch, max).await;
    while taken > 0 && taken < max {
        tokio::task::yield_now().await;
        if waiting.is_empty() {
            break;
        }
        taken += waiting.recv_many(batch, max - taken).await;
    }
    taken
}

/// Processes one batch after the other until the channel is closed. A panic affects only its own batch: the
/// items' reply channels are dropped, and the next batch is processed.
pub async fn each<T, F>(
    name: &'static str,
    waiting: &mut Receiver<T>,
    max: usize,
    work: impl Fn(Vec<T>) -> F,
) where
    F: Future<Output = ()>,
{
    let mut batch = Vec::new();
    while take(waiting, &mut batch, max).await > 0 {
        let working = work(std::mem::take(&mut batch)).map(Ok);
        // `attempted` has logged the error.
        let _ = supervise::attempted(name, working).await;
    }
}

/// The parts of a batch that are still to be tried.
pub struct Parts<'a, T>(Vec<&'a [T]>);

impl<'a, T> Parts<'a, T> {
    /// Starts with the whole batch as one part.
    pub fn of(batch: &'a [T]) -> Self {
        Self(vec![batch])
    }

    /// Returns the next part, in the order of the batch.
    pub fn take(&mut self) -> Option<&'a [T]> {
        self.0.pop()
    }

    /// Splits a part that failed. Returns its only item if it has just one.
    pub fn halve(&mut self, refused: &'a [T]) -> Option<&'a T> {
        if let [alone] = refused {
            return Some(alone);
        }
        let (first, second) = refused.split_at(refused.len() / 2);
        let parts = [second, first].into_iter();
        self.0.extend(parts.filter(|part| !part.is_empty()));
        None
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    type Job = (u32, oneshot::Sender<u32>);

    async fn double(jobs: Vec<Job>) {
        for (number, answer) in jobs {
            assert_ne!(number, 0, "on purpose");
            let _ = answer.send(number * 2);
        }
    }

    #[tokio::test]
    async fn a_batch_that_breaks_takes_no_other_along() {
        let (sender, mut waiting) = mpsc::channel(10);
        tokio::spawn(async move { each("doubler", &mut waiting, 2, double).await });
        let ask = async |number| {
            let (answer, answered) = oneshot::channel();
            sender.send((number, answer)).await.unwrap();
            answered.await.ok()
        };
        for _ in 0..2 {
            assert_eq!(ask(1).await, Some(2));
            assert_eq!(ask(0).await, None);
            assert_eq!(ask(2).await, Some(4));
        }
    }

    /// The members that are refused alone, those that are taken, and how often something was tried.
    fn sift(batch: &[u32], is_bad: impl Fn(u32) -> bool) -> (Vec<u32>, Vec<u32>, usize) {
        let (mut refused, mut taken, mut tries) = (Vec::new(), Vec::new(), 0);
        let mut parts = Parts::of(batch);
        while let Some(part) = parts.take() {
            tries += 1;
            match part.iter().any(|member| is_bad(*member)) {
                true => refused.extend(parts.halve(part)),
                false => taken.extend(part),
            }
        }
        (refused, taken, tries)
    }

    #[test]
    fn one_bad_member_costs_few_tries() {
        let batch: Vec<u32> = (0..512).collect();
        for bad in [0, 1, 255, 256, 511] {
            let (refused, taken, tries) = sift(&batch, |member| member == bad);
            assert_eq!(refused, [bad]);
            assert_eq!(taken.len(), 511);
            assert!(taken.is_sorted());
            assert!(tries <= 19, "{tries}");
        }
    }

    #[test]
    fn every_member_is_taken_or_refused_once() {
        for size in [0, 1, 2, 3, 7, 100] {
            let batch: Vec<u32> = (0..size).collect();
            let (refused, taken, _) = sift(&batch, |_| true);
            assert_eq!((refused, taken), (batch.clone(), Vec::new()), "{size}");
            let (refused, mut taken, _) = sift(&batch, |member| member % 3 == 0);
            taken.extend(refused);
            taken.sort_unstable();
            assert_eq!(taken, batch, "{size}");
        }
    }
}
