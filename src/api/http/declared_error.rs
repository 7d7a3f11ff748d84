//! Declaration of the errors that are specific to an operation, from which its documentation is made.

use crate::error::Reason;

/// An error of some operations, beside those that follow from their parameters, bodies and security.
#[derive(Debug, Clone, Copy)]
pub struct DeclaredError {
    /// The operations, by `operationId`.
    pub operations: &'static [&'static str],
    /// Its reason, which determines the status.
    pub reason: Reason,
    /// When it occurs, in full sentences.
    pub cause: &'static str,
    /// An example of its text.
    pub message: &'static str,
}
