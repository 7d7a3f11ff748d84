//! Where templates are rendered: beside the runtime, a few at a time.
//!
//! A template is the work of a user, and bounded; it is still longer than anybody else should have to
//! wait. Its thread has a stack of its own, for what recurses with the depth of the template.

use std::{sync::Arc, thread};

use tokio::sync::{Semaphore, oneshot};

/// Templates that are rendered at the same time, of all tenants.
const AT_ONCE: usize = 2;
/// What 65,536 characters can nest takes far less. Only what is used is there.
pub const STACK_BYTES: usize = 64 << 20;

/// Renders. Cheap to clone.
#[derive(Clone)]
pub struct Renderer {
    places: Arc<Semaphore>,
}

impl Renderer {
    /// Nothing is rendered yet.
    pub fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Does this work on a thread of its own, in its turn. Nothing, when the machine gives no thread.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // Who gives up waiting leaves the work, and its place, to their end.
        let place = self.places.clone().acquire_owned().await.ok()?;
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
