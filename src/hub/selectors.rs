//! Selectors, as clients write them.

use crate::{
    error::{Error, Result},
    selector::Selector,
};

/// Reads a selector; the error names the field.
pub fn parse_selector(text: &str) -> Result<Selector> {
    Selector::parse(text).map_err(|error| Error::field("selector", error))
}
