//! Events: the live stream, and their form in lists.

pub(super) mod events;
pub(super) mod follow;
