//! What happens, as it happens.

pub(super) mod events;
pub(super) mod follow;
