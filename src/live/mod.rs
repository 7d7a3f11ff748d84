//! The live stream: sends recorded events to all listeners as soon as they are committed.
//!
//! The database is the only source. So it does not matter which of several hubs recorded an event, a slow
//! listener costs no memory, and a listener that reconnects continues where it was. Events are delivered at
//! least once: after a reconnect, the last moments may be sent again, with the same ids.
//!
//! | file | what it holds |
//! |---|---|
//! | `follow.rs` | a single subscription: the events already sent, and the schedule of polls |
//! | `places.rs` | the limits on the number of listeners |
//! | `queue.rs` | a single follower of an integration: its next messages |

mod follow;
mod places;
mod queue;

pub use follow::{Follow, Start};
pub use places::{Listener, Live};
pub use queue::Queue;
