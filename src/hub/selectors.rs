//! Label selectors in requests.

use crate::{
    error::{Error, Result},
    selector::Selector,
};

/// Parses a selector; the error names the field.
pub fn parse_selector(text: &str) -> Result<Selector> {
    Selector::parse(text).map_err(|error| Error::field("selector", error))
}
