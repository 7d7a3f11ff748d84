//! The live stream: what is recorded, told to whoever listens as soon as it is committed.
//!
//! The database is the one source, so it does not matter which hub of several recorded something, a
//! listener that is slow costs no memory, and one that comes back goes on where it was. A listener is
//! told of everything at least once: after a break the last moments may come again, with the same ids.
//!
//! | file | what it holds |
//! |---|---|
//! | `follow.rs` | one listener: what it has been told, and when to look again |
//! | `places.rs` | who may listen, and how many at a time |
//! | `queue.rs` | one who follows an integration: which of its messages come next |

mod follow;
mod places;
mod queue;

pub use follow::{Follow, Start};
pub use places::{Listener, Live};
pub use queue::Queue;
