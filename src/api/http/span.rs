//! `from` and `to`: a span of time.

use super::types::Timestamp;
use crate::{error::Error, store::core::listing::Span};

/// The span between two parameters, either of which may be missing.
pub fn read(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Span, Error> {
    let (from, to) = (from.map(|from| from.0), to.map(|to| to.0));
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Error::field("to", "must not be before from"));
    }
    Ok(Span { from, to })
}
