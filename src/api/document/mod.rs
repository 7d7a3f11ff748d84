//! From the document that poem-openapi makes to the one that is published.
//!
//! What the framework leaves out or gets wrong is put right in named steps, each of which says why.
//! The published document is what is served, committed under `openapi/`, and tested against.

mod examples;
mod headers;
mod links;
pub(super) mod pages;
pub mod published;
mod responses;
mod schemas;
mod walk;
