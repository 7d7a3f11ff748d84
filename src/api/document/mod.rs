//! Conversion of the OpenAPI document that poem-openapi generates to the published one.
//!
//! Named steps correct and complete the framework's output, and state the reason. The published document is
//! served, committed under `openapi/`, and used for tests.

mod code_samples;
mod examples;
mod headers;
mod links;
mod literals;
pub(super) mod pages;
pub mod published;
mod recorded;
mod responses;
mod schemas;
mod walk;
