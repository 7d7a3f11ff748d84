//! Batches without a timer: what waits is taken together.

use tokio::sync::mpsc::Receiver;

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
