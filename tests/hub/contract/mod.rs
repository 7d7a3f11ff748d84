//! What holds for every operation and every resource, and what was written down and must stay true.

mod bad_input;
mod changes;
pub mod collections;
pub mod document;
mod drift;
mod extremes;
mod headers;
pub mod limits;
mod paging;
mod removals;
mod requests;
mod rules;
