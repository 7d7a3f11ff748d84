//! The live stream: what is recorded, told to whoever listens as soon as it is committed.
//!
//! The database is the one source, so it does not matter which hub of several recorded something, a
//! listener that is slow costs no memory, and one that comes back goes on where it was. A listener is
//! told of everything at least once: after a break the last moments may come again, with the same ids.
//!
//! | file | what it holds |
//! |---|---|
//! | `follow.rs` | one listener: what it has been told, and when to look again |
//! | `queue.rs` | one who follows an integration: which of its messages come next |

mod follow;
mod queue;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

pub use follow::{Follow, Start};
pub use queue::Queue;

use crate::error::{Error, Result};

/// All listeners of this hub. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

/// A listener's place; free again when it is dropped.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    stop: CancellationToken,
}

impl Live {
    /// Room for so many listeners, until `stop`.
    pub fn new(places_max: usize, stop: CancellationToken) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places_max)),
            stop,
        }
    }

    /// A place for one more listener, if there is one.
    pub fn enter(&self) -> Result<Place> {
        let permit = self.places.clone().try_acquire_owned().map_err(|_| {
            Error::overloaded("too many live streams are open (setting live_streams_max)")
        })?;
        Ok(Place {
            _permit: permit,
            stop: self.stop.clone(),
        })
    }
}
