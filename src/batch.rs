//! Batches without a timer: what waits is taken together.

use futures_util::FutureExt;
use tokio::sync::mpsc::Receiver;

use crate::supervise;

/// Takes what waits, and waits only when nothing does; 0 when nothing will come any more.
///
/// Tasks that are about to ask run first: a batch costs much the same whether one waits or fifty.
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

/// Works on one batch after the other until nothing will come any more. A panic over a batch costs those
/// in it alone: what they wait with is dropped, and the next batch is worked on.
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
        // The log has it.
        let _ = supervise::attempted(name, working).await;
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
}
