//! Bounds on the size of bodies and on the time in which they arrive.

use std::time::Duration;

use poem::Request;

use crate::error::Error;

/// The largest factor by which a body may exceed the usual bound.
pub const FACTOR_MAX: usize = 8;

/// Bytes that a form may have around the file in it.
pub const FORM_BYTES: usize = 64 * 1024;

/// Bounds on bodies, among the request's data.
#[derive(Debug, Clone, Copy)]
pub struct BodyBounds {
    /// Most bytes.
    pub max_bytes: usize,
    /// Most bytes of a file to import.
    pub import_max_bytes: usize,
    /// Longest time for all of it to arrive.
    pub timeout: Duration,
}

/// Most bytes of a body, of which the operator sets the measure.
#[derive(Debug, Clone, Copy)]
pub enum BodyMax {
    /// So many times the usual size.
    Times(usize),
    /// A file to import, and the form around it.
    Import,
}

/// An operation whose body has a bound of its own.
#[derive(Debug, Clone, Copy)]
pub struct OwnBound {
    /// Its `operationId`.
    pub operation: &'static str,
    /// The bound.
    pub max: BodyMax,
}

impl BodyMax {
    /// The bound within which the bodies of most operations are read ahead: each of them has its own below it.
    pub const USUAL: Self = Self::Times(FACTOR_MAX);
}

impl BodyBounds {
    /// The bounds for a request.
    pub fn of(request: &Request) -> Result<Self, Error> {
        let bounds: Option<&Self> = request.data();
        bounds
            .copied()
            .ok_or_else(|| Error::internal("bounds on bodies are not set"))
    }

    /// Most bytes of a body with this bound.
    pub fn largest(&self, max: BodyMax) -> usize {
        match max {
            BodyMax::Times(factor) => self.max_bytes * factor,
            BodyMax::Import => self.import_max_bytes + FORM_BYTES,
        }
    }
}
