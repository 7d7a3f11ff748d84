//! Data tables: columns must be unique.

use std::collections::HashSet;

use crate::error::{Error, Result};

/// Rejects duplicate columns.
pub fn check_columns<'a>(paths: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashSet::new();
    for (index, path) in paths.enumerate() {
        if !seen.insert(path) {
            return Err(Error::field(
                &format!("columns[{index}].path"),
                "must be unique among the columns",
            ));
        }
    }
    Ok(())
}
