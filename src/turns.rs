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
    /// Maximum number of permits of one party.
    share_max: usize,
    /// Number of permits of each party that has some.
    running: HashMap<K, usize>,
    waiting: HashMap<K, VecDeque<oneshot::Sender<Turn<K>>>>,
    /// Parties with waiting work, in the order of their turns.
    order: VecDeque<K>,
}

/// Permit for one piece of work. Dropping it passes it to the next in line, so it must live as long as the work.
#[must_use]
pub struct Turn<K: Hash + Eq + Clone>(Option<(Turns<K>, K)>);

impl<K: Hash + Eq + Clone> Turns<K> {
    /// Creates this number of permits, of which one party may have all.
    pub fn new(running_max: usize) -> Self {
        Self::with_share(running_max, running_max)
    }

    /// Creates this number of permits, of which one party may have some at a time. The others stay free for other parties.
    pub fn with_share(running_max: usize, share_max: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            running_max,
            share_max,
            running: HashMap::new(),
            waiting: HashMap::new(),
            order: VecDeque::new(),
        })))
    }

    /// Waits for a permit in the turn of this party.
    pub async fn take(&self, party: K) -> Turn<K> {
        let turn = {
            let mut state = self.lock();
            if state.is_free() && state.may_have_more(&party) {
                *state.running.entry(party.clone()).or_default() += 1;
                return Turn(Some((self.clone(), party)));
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
    fn is_free(&self) -> bool {
        self.running.values().sum::<usize>() < self.running_max
    }

    fn may_have_more(&self, party: &K) -> bool {
        self.running.get(party).copied().unwrap_or(0) < self.share_max
    }

    /// Takes a permit back.
    fn end(&mut self, party: &K) {
        if let Some(count) = self.running.get_mut(party) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(party);
            }
        }
    }

    fn enter(&mut self, party: K) -> oneshot::Receiver<Turn<K>> {
        let (turn, is_turn) = oneshot::channel();
        let waiting = self.waiting.entry(party.clone()).or_default();
        if waiting.is_empty() {
            self.order.push_back(party);
        }
        waiting.push_back(turn);
        is_turn
    }

    /// Hands a permit to the next in line: the oldest waiting work of the first party that may have more.
    fn next(&mut self) -> Option<(oneshot::Sender<Turn<K>>, K)> {
        loop {
            let first = self
                .order
                .iter()
                .position(|party| self.may_have_more(party))?;
            let party = self.order.remove(first)?;
            let Some(waiting) = self.waiting.get_mut(&party) else {
                continue;
            };
            // Callers that have gone must not pile up behind one who waits.
            waiting.retain(|turn| !turn.is_closed());
            let next = waiting.pop_front();
            if waiting.is_empty() {
                self.waiting.remove(&party);
            } else {
                self.order.push_back(party.clone());
            }
            if let Some(next) = next {
                *self.running.entry(party.clone()).or_default() += 1;
                return Some((next, party));
            }
        }
    }
}

impl<K: Hash + Eq + Clone> Drop for Turn<K> {
    fn drop(&mut self) {
        let Some((turns, mut party)) = self.0.take() else {
            return;
        };
        loop {
            let next = {
                let mut state = turns.lock();
                state.end(&party);
                state.next()
            };
            let Some((next, of)) = next else {
                return;
            };
            match next.send(Self(Some((turns.clone(), of.clone())))) {
                Ok(()) => return,
                // The receiver was cancelled, so this permit goes to the next one.
                Err(mut unused) => unused.0 = None,
            }
            party = of;
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
        assert!(turns.lock().running.is_empty());
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
        assert!(turns.lock().running.is_empty());
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
            (state.running.len(), state.waiting.len(), state.order.len()),
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
        assert!(turns.lock().running.is_empty());
    }

    #[tokio::test]
    async fn a_share_leaves_permits_to_others() {
        let turns = Turns::with_share(3, 2);
        let mut flood = vec![turns.take("eve").await, turns.take("eve").await];
        let mut more = std::pin::pin!(turns.take("eve"));
        assert!(futures_util::poll!(&mut more).is_pending());
        // Others find a free permit, and the flood gets none of theirs.
        for _ in 0..2 {
            drop(turns.take("adam").await);
            assert!(futures_util::poll!(&mut more).is_pending());
        }
        let adam = turns.take("adam").await;
        let mut second = std::pin::pin!(turns.take("adam"));
        assert!(futures_util::poll!(&mut second).is_pending());
        flood.pop();
        let more = more.await;
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(adam);
        drop((second.await, more, flood));
        assert!(turns.lock().running.is_empty());
    }
}
