//! Stored selectors, kept ready as they were read.

use std::sync::Arc;

use moka::sync::Cache;

use crate::selector::Selector;

/// What is kept ready of selectors, in bytes: of ten thousand as they usually are.
const SELECTORS_MAX_BYTES: u64 = 16 << 20;
/// What a selector takes beside its text, and for each byte of that.
const ENTRY_BYTES: usize = 512;
const PARSED_BYTES: usize = 4;

/// Stored selectors by their text, which means the same for ever.
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
    /// The selector of this text; `None`: it does not read.
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
