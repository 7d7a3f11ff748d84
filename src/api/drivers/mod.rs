//! Driver registry: drivers, their versions and tags, and operations on them.

pub(super) mod archives;
pub(super) mod content;
pub(super) mod errors;
pub(super) mod resource;
pub(super) mod tags;
pub(super) mod tryout;
pub(super) mod usage;
pub(super) mod versions;
