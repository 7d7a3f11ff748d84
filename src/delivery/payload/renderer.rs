//! Renders templates outside of the async runtime, a few at a time.
//!
//! Templates are written by users. Their cost is bounded, but still too high to block others. So
//! tenants take turns: however many templates of one tenant wait, the next one of another tenant waits
//! only for those in progress and one of each tenant. Each template runs on a thread with its own
//! stack, because rendering recurses with the depth of the template.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::sync::oneshot;

use crate::id::TenantId;

/// Maximum number of templates rendered concurrently, for all tenants.
const AT_ONCE: usize = 2;
/// Stack size of a rendering thread in bytes. Templates of 65,536 characters need far less, and only
/// used pages are allocated.
pub const STACK_BYTES: usize = 64 << 20;

/// Renderer for all tenants. Cheap to clone.
#[derive(Clone, Default)]
pub struct Renderers(Arc<Mutex<Turns>>);

/// Renderer for one tenant.
pub struct Renderer {
    renderers: Renderers,
    tenant: TenantId,
}

#[derive(Default)]
struct Turns {
    under_way: usize,
    waiting: HashMap<TenantId, VecDeque<oneshot::Sender<Place>>>,
    /// Tenants with waiting templates, in the order of their turns.
    order: VecDeque<TenantId>,
}

/// Permit to render. Dropping it passes it to the next in line.
struct Place(Option<Arc<Mutex<Turns>>>);

impl Renderer {
    /// Runs `work` on a separate thread, in the tenant's turn. Returns `None` if the system cannot create a
    /// thread.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // If the caller is cancelled, the work continues and keeps its permit until its end.
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
    /// Returns the renderer for a tenant.
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

    /// Returns the next in line: the oldest template of the tenant whose turn it is.
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
                // The receiver was cancelled, so this permit goes to the next one.
                Err(mut unused) => unused.0 = None,
            }
        }
    }
}

/// Locks the turns. Poisoning is ignored: no code panics while it holds the lock, and the state is
/// consistent at every step.
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
        // A single permit is passed on, so that the order is deterministic.
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
