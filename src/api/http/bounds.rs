//! Bounds on the size of bodies and on the time in which they arrive.

use std::time::Duration;

use poem::Request;

use crate::error::Error;

/// Largest factor by which a body may exceed the usual size.
pub const FACTOR_MAX: usize = 8;

/// Maximum number of bytes of a form besides the file in it.
pub const FORM_BYTES: usize = 64 * 1024;

/// Bounds on request bodies; part of the request's data.
#[derive(Debug, Clone, Copy)]
pub struct BodyBounds {
    /// Maximum number of bytes of a body.
    pub max_bytes: usize,
    /// Maximum number of bytes of an imported file.
    pub import_max_bytes: usize,
    /// Longest time in which a body must arrive.
    pub timeout: Duration,
}

/// Size bound of a body, relative to what the operator has configured.
#[derive(Debug, Clone, Copy)]
pub enum BodyMax {
    /// Multiple of the usual size.
    Times(usize),
    /// A file to import with the form around it.
    Import,
}

/// Size bound of an operation that differs from the usual one.
#[derive(Debug, Clone, Copy)]
pub struct OwnBound {
    /// `operationId` of the operation.
    pub operation: &'static str,
    /// Size bound of its body.
    pub max: BodyMax,
}

impl BodyMax {
    /// Bound within which the bodies of most operations are read ahead; the operations themselves apply lower
    /// ones.
    pub const USUAL: Self = Self::Times(FACTOR_MAX);
}

impl BodyBounds {
    /// Returns the bounds that apply to a request.
    pub fn of(request: &Request) -> Result<Self, Error> {
        let bounds: Option<&Self> = request.data();
        bounds
            .copied()
            .ok_or_else(|| Error::internal("bounds on bodies are not set"))
    }

    /// Returns the maximum number of bytes for this bound.
    pub fn largest(&self, max: BodyMax) -> usize {
        match max {
            BodyMax::Times(factor) => self.max_bytes * factor,
            BodyMax::Import => self.import_max_bytes + FORM_BYTES,
        }
    }
}
