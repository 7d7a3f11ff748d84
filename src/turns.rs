//! A few permits for costly work, for which tenants or addresses take turns.
//!
//! However much work of one party waits, the next work of another one waits only for what is in progress and
//! for one piece of work of each party.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Hands out permits in turn. Cheap to clone.
#[derive(Clone)]
pub struct Turns<K: Hash + Eq + Clone>(Arc<Mutex<State<K>>>);

struct State<K: Hash + Eq + Clone> {
    running_max: usize,
    running: usize,
    waiting: HashMap<K, VecDeque<oneshot::Sender<Turn<K>>>>,
    /// Parties with waiting work, in the order of their turns.
    order: VecDeque<K>,
}

/// Permit for one piece of work. Dropping it passes it to the next in line, so it must live as long as the work.
#[must_use]
pub struct Turn<K: Hash + Eq + Clone>(Option<Turns<K>>);

impl<K: Hash + Eq + Clone> Turns<K> {
    /// Creates this number of permits.
    pub fn new(running_max: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            running_max,
            running: 0,
            waiting: HashMap::new(),
            order: VecDeque::new(),
        })))
    }

    /// Waits for a permit in the turn of this party.
    pub async fn take(&self, party: K) -> Turn<K> {
        let turn = {
            let mut state = self.lock();
            if state.running < state.running_max {
                state.running += 1;
                return Turn(Some(self.clone()));
            }
            state.enter(party)
        };
        // A sender is only dropped after it was used, so this cannot fail; without a permit the work would
        // still be done, uncounted.
        turn.await.unwrap_or(Turn(None))
    }

    /// Locks the state. Poisoning is ignored: no code panics while it holds the lock, and the state is
    /// consistent at every step.
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone> State<K> {
    fn enter(&mut self, party: K) -> oneshot::Receiver<Turn<K>> {
        let (turn, is_turn) = oneshot::channel();
        let waiting = self.waiting.entry(party.clone()).or_default();
        if waiting.is_empty() {
            self.order.push_back(party);
        }
        waiting.push_back(turn);
        is_turn
    }

    /// Returns the next in line: the oldest waiting work of the party whose turn it is.
    fn next(&mut self) -> Option<oneshot::Sender<Turn<K>>> {
        while let Some(party) = self.order.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&party) else {
                continue;
            };
            // Callers that have gone must not pile up behind one who waits.
            waiting.retain(|turn| !turn.is_closed());
            let next = waiting.pop_front();
            if waiting.is_empty() {
                self.waiting.remove(&party);
            } else {
                self.order.push_back(party);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

impl<K: Hash + Eq + Clone> Drop for Turn<K> {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else {
            return;
        };
        loop {
            let next = {
                let mut state = turns.lock();
                let next = state.next();
                if next.is_none() {
                    state.running -= 1;
                }
                next
            };
            let Some(next) = next else {
                return;
            };
            match next.send(Self(Some(turns.clone()))) {
                Ok(()) => return,
                // The receiver was cancelled, so this permit goes to the next one.
                Err(mut unused) => unused.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    async fn all_taken() -> (Turns<&'static str>, Vec<Turn<&'static str>>) {
        let turns = Turns::new(2);
        let busy = vec![turns.take("acme").await, turns.take("acme").await];
        (turns, busy)
    }

    #[tokio::test]
    async fn parties_take_turns() {
        let (turns, mut busy) = all_taken().await;
        let order = Mutex::new(Vec::new());
        let mut waiting = Vec::new();
        for party in ["a", "a", "a", "a", "b", "b", "c"] {
            let turn = turns.lock().enter(party);
            let order = &order;
            waiting.push(async move {
                let turn = turn.await;
                order.lock().unwrap().push(party);
                drop(turn);
            });
        }
        // A single permit is passed on, so that the order is deterministic.
        busy.truncate(1);
        join_all(waiting).await;
        let order = order.into_inner().unwrap();
        assert_eq!(order, ["a", "b", "c", "a", "b", "a", "a"]);
        drop(busy);
        assert_eq!(turns.lock().running, 0);
    }

    #[tokio::test]
    async fn callers_that_have_gone_do_not_pile_up() {
        let (turns, mut busy) = all_taken().await;
        for _ in 0..100 {
            drop(turns.lock().enter("gone"));
        }
        let last = turns.lock().enter("gone");
        let first = turns.lock().enter("acme");
        let second = turns.lock().enter("acme");
        busy.truncate(1);
        let taken = last.await.unwrap();
        {
            let state = turns.lock();
            assert!(!state.waiting.contains_key("gone"));
            assert_eq!(state.order, ["acme"]);
        }
        drop((busy, taken));
        for turn in [first, second] {
            drop(turn.await.unwrap());
        }
        assert_eq!(turns.lock().running, 0);
    }

    #[tokio::test]
    async fn a_permit_skips_callers_that_have_gone() {
        let (turns, busy) = all_taken().await;
        drop(turns.lock().enter("acme"));
        let waits = turns.lock().enter("acme");
        drop(busy);
        drop(waits.await.unwrap());
        let state = turns.lock();
        assert_eq!(
            (state.running, state.waiting.len(), state.order.len()),
            (0, 0, 0)
        );
    }

    #[tokio::test]
    async fn no_more_run_than_there_are_permits() {
        let (turns, busy) = all_taken().await;
        {
            let third = turns.take("acme");
            futures_util::pin_mut!(third);
            assert!(futures_util::poll!(&mut third).is_pending());
            drop(busy);
            drop(third.await);
        }
        assert_eq!(turns.lock().running, 0);
    }
}
