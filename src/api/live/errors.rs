//! Errors that are specific to these operations.

use crate::api::http::declared_error::DeclaredError;

/// The errors, in the order of their resources.
pub const ERRORS: &[DeclaredError] = &[];
