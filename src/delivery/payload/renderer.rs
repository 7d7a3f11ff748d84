//! Where templates are rendered: beside the runtime, a few at a time.
//!
//! A template is the work of a user, and bounded; it is still longer than anybody else should have to
//! wait. So tenants take turns: however many templates of one tenant wait, another's next one waits for
//! those under way and one of each tenant. Its thread has a stack of its own, for what recurses with the
//! depth of the template.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::sync::oneshot;

use crate::id::TenantId;

/// Templates that are rendered at the same time, of all tenants.
const AT_ONCE: usize = 2;
/// What 65,536 characters can nest takes far less. Only what is used is there.
pub const STACK_BYTES: usize = 64 << 20;

/// Renders for all tenants. Cheap to clone.
#[derive(Clone, Default)]
pub struct Renderers(Arc<Mutex<Turns>>);

/// Renders for one tenant.
pub struct Renderer {
    renderers: Renderers,
    tenant: TenantId,
}

#[derive(Default)]
struct Turns {
    under_way: usize,
    waiting: HashMap<TenantId, VecDeque<oneshot::Sender<Place>>>,
    /// The tenants with something waiting, in the order of their turns.
    order: VecDeque<TenantId>,
}

/// The right to render. Dropping it gives it to whoever is next.
struct Place(Option<Arc<Mutex<Turns>>>);

impl Renderer {
    /// Does this work on a thread of its own, in the tenant's turn. Nothing, when the machine gives no
    /// thread.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // Who gives up waiting leaves the work, and its place, to their end.
        let place = self.renderers.place(self.tenant).await?;
        let (done, outcome) = oneshot::channel();
        let work = move || {
            let _ = done.send(work());
            drop(place);
        };
        let thread = thread::Builder::new()
            .name("template".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(work);
        thread.ok()?;
        outcome.await.ok()
    }
}

impl Renderers {
    /// The renderer of this tenant.
    pub fn of(&self, tenant: TenantId) -> Renderer {
        Renderer {
            renderers: self.clone(),
            tenant,
        }
    }

    async fn place(&self, tenant: TenantId) -> Option<Place> {
        let turn = {
            let mut turns = lock(&self.0);
            if turns.under_way < AT_ONCE {
                turns.under_way += 1;
                return Some(Place(Some(self.0.clone())));
            }
            turns.enter(tenant)
        };
        turn.await.ok()
    }
}

impl Turns {
    fn enter(&mut self, tenant: TenantId) -> oneshot::Receiver<Place> {
        let (turn, is_turn) = oneshot::channel();
        let waiting = self.waiting.entry(tenant).or_default();
        if waiting.is_empty() {
            self.order.push_back(tenant);
        }
        waiting.push_back(turn);
        is_turn
    }

    /// The next that waits: the oldest of the tenant whose turn it is.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let tenant = self.order.pop_front()?;
        let waiting = self.waiting.get_mut(&tenant)?;
        let next = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&tenant);
        } else {
            self.order.push_back(tenant);
        }
        next
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else {
            return;
        };
        loop {
            let next = {
                let mut turns = lock(&shared);
                let next = turns.next();
                if next.is_none() {
                    turns.under_way -= 1;
                }
                next
            };
            let Some(next) = next else {
                return;
            };
            match next.send(Self(Some(shared.clone()))) {
                Ok(()) => return,
                // Nobody waits there any more: the place is still this one's to give.
                Err(mut unused) => unused.0 = None,
            }
        }
    }
}

/// No code panics while it holds this lock, and the state is whole at every step.
fn lock(turns: &Mutex<Turns>) -> MutexGuard<'_, Turns> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn tenants_take_turns() {
        let renderer = Renderers::default();
        let mut busy = Vec::new();
        for _ in 0..AT_ONCE {
            busy.push(renderer.place(TenantId(1)).await.unwrap());
        }
        let order = Mutex::new(Vec::new());
        let mut waiting = Vec::new();
        for tenant in [1, 1, 1, 1, 2, 2, 3] {
            let turn = lock(&renderer.0).enter(TenantId(tenant));
            let order = &order;
            waiting.push(async move {
                let place = turn.await;
                order.lock().unwrap().push(tenant);
                drop(place);
            });
        }
        // One place goes round, so that the order is one.
        busy.truncate(1);
        join_all(waiting).await;
        let order: Vec<i64> = order.into_inner().unwrap();
        assert_eq!(order, [1, 2, 3, 1, 2, 1, 1]);
        drop(busy);
        assert_eq!(lock(&renderer.0).under_way, 0);
    }

    #[tokio::test]
    async fn a_place_passes_those_who_have_gone() {
        let renderer = Renderers::default();
        let mut busy = Vec::new();
        for _ in 0..AT_ONCE {
            busy.push(renderer.place(TenantId(1)).await.unwrap());
        }
        drop(lock(&renderer.0).enter(TenantId(1)));
        let waits = lock(&renderer.0).enter(TenantId(1));
        drop(busy);
        drop(waits.await.unwrap());
        let turns = lock(&renderer.0);
        assert_eq!(
            (turns.under_way, turns.waiting.len(), turns.order.len()),
            (0, 0, 0)
        );
    }
}
