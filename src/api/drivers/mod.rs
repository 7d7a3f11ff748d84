//! The registry of drivers: the drivers, their versions and tags, and what is done with them.

pub(super) mod archives;
pub(super) mod content;
pub(super) mod resource;
pub(super) mod tags;
pub(super) mod tryout;
pub(super) mod usage;
pub(super) mod versions;
