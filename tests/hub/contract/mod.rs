//! Rules that hold for every operation and resource, and written words that must stay true.

pub mod bad_input;
mod changes;
mod circles;
pub mod collections;
mod cross_origin;
pub mod document;
mod drift;
mod early_refusals;
mod extremes;
mod headers;
mod layers;
pub mod limits;
mod links;
mod messages;
mod network_servers;
mod pages;
mod paging;
mod preconditions;
mod promises;
mod reasons;
mod recreated;
mod removals;
mod request_ids;
mod requests;
mod rules;
mod settings;
mod sources;
