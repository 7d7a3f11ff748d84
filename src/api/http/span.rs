//! `from` and `to`: a time span.

use super::types::Timestamp;
use crate::{error::Error, store::core::listing::Span};

/// Returns the span between two parameters, each of which may be missing; fails if `to` is before `from`.
pub fn read(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Span, Error> {
    let (from, to) = (from.map(|from| from.0), to.map(|to| to.0));
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Error::field("to", "must not be before from"));
    }
    Ok(Span { from, to })
}
