//! Events: the live stream, and events in lists.

pub(super) mod events;
pub(super) mod follow;
