//! Batches without a timer: what waits is taken together, and what is refused together is taken apart.

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

/// The parts of a batch that are still to be tried.
pub struct Parts<'a, T>(Vec<&'a [T]>);

impl<'a, T> Parts<'a, T> {
    /// All of it, at once.
    pub fn of(batch: &'a [T]) -> Self {
        Self(vec![batch])
    }

    /// The next part, in the order of the batch.
    pub fn take(&mut self) -> Option<&'a [T]> {
        self.0.pop()
    }

    /// Takes a part that was refused apart; answers its one member where it has no other.
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
    use super::*;

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
