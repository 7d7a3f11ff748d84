//! Cache of parsed selectors.

use std::sync::Arc;

use moka::sync::Cache;

use crate::selector::Selector;

/// Capacity of the cache in bytes; enough for ten thousand typical selectors.
const SELECTORS_MAX_BYTES: u64 = 16 << 20;
/// Estimated bytes per selector, apart from its text.
const ENTRY_BYTES: usize = 512;
const PARSED_BYTES: usize = 4;

/// Parsed selectors by their text; they never expire, because a text always parses to the same selector.
pub struct Selectors(Cache<String, Arc<Selector>>);

impl Default for Selectors {
    fn default() -> Self {
        let weigh = |text: &String, _: &Arc<Selector>| {
            u32::try_from(ENTRY_BYTES + PARSED_BYTES * text.len()).unwrap_or(u32::MAX)
        };
        Self(
            Cache::builder()
                .max_capacity(SELECTORS_MAX_BYTES)
                .weigher(weigh)
                .build(),
        )
    }
}

impl Selectors {
    /// Returns the selector of this text; `None` if it does not parse.
    pub fn read(&self, text: &str) -> Option<Arc<Selector>> {
        if let Some(selector) = self.0.get(text) {
            return Some(selector);
        }
        let selector = Arc::new(Selector::parse(text).ok()?);
        self.0.insert(text.to_owned(), selector.clone());
        Some(selector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_once() {
        let selectors = Selectors::default();
        let read = || selectors.read("site=berlin").unwrap();
        assert!(Arc::ptr_eq(&read(), &read()));
        assert!(selectors.read("a in (").is_none());
    }
}
