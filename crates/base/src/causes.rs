//! Errors as text.

use std::error::Error;

/// Returns an error with its causes, in one line.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let chain: Vec<String> = std::iter::successors(Some(error), |error| (*error).source())
        .map(ToString::to_string)
        .collect();
    chain.join(": ").replace('\n', " ")
}
