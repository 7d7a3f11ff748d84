//! Conversion of the OpenAPI document that poem-openapi generates to the published one.
//!
//! Named steps correct and complete the framework's output, and state the reason. The published document is
//! served, committed under `openapi/`, and used for tests.

mod code_samples;
mod defaults;
mod enums;
mod examples;
pub mod form;
mod guide_links;
mod headers;
mod links;
mod lists;
mod literals;
pub(super) mod pages;
#[cfg(test)]
mod portable;
pub mod published;
mod recorded;
mod responses;
mod rollup;
mod rules;
mod schemas;
mod security;
mod version_3_1;
mod walk;
mod webhooks;
