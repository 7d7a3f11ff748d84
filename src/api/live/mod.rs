//! Events: the live stream, and events in lists.

pub(super) mod errors;
pub(super) mod events;
pub(super) mod follow;
