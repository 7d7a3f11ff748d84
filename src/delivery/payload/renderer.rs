//! Renders templates outside of the async runtime, a few at a time.
//!
//! Templates are written by users. Their cost is bounded, but still too high to block others. So
//! tenants take turns. Each template runs on a thread with its own stack, because rendering recurses with the
//! depth of the template.

use std::thread;

use base::priority;
use tokio::sync::oneshot;

use crate::{id::TenantId, turns::Turns};

/// Maximum number of templates rendered concurrently, for all tenants.
const AT_ONCE: usize = 2;
/// Stack size of a rendering thread in bytes. Templates of 65,536 characters need far less, and only
/// used pages are allocated.
pub const STACK_BYTES: usize = 64 << 20;

/// Renderer for all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Renderers(Turns<TenantId>);

/// Renderer for one tenant.
pub struct Renderer {
    renderers: Renderers,
    tenant: TenantId,
}

impl Default for Renderers {
    fn default() -> Self {
        Self(Turns::new(AT_ONCE))
    }
}

impl Renderer {
    /// Runs `work` on a separate thread, in the tenant's turn. Returns `None` if the system cannot create a
    /// thread.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // If the caller is cancelled, the work continues and keeps its permit until its end.
        let turn = self.renderers.0.take(self.tenant).await;
        let (done, outcome) = oneshot::channel();
        let work = move || {
            priority::lower();
            let _ = done.send(work());
            drop(turn);
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
}
