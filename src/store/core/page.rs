//! One page of a list.

use crate::error::Result;

/// One stretch of a list.
#[derive(Debug)]
pub struct Page<T, K> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// The place to go on after; `None` at the end.
    pub next: Option<K>,
    /// How many there are on all pages; `None`: it was not asked for.
    pub total: Option<u64>,
}

impl<T, K> Page<T, K> {
    /// Makes a page of `limit` from a query that asked for one more.
    pub(in crate::store) fn cut(mut items: Vec<T>, limit: u64, key: impl Fn(&T) -> K) -> Self {
        let more = items.len() as u64 > limit;
        items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = if more { items.last().map(key) } else { None };
        Self {
            items,
            next,
            total: None,
        }
    }

    /// The page of a list of so many.
    pub(in crate::store) fn of(self, total: Option<u64>) -> Self {
        Self { total, ..self }
    }

    /// The page with other items in it, unless one of them fails.
    pub fn try_map<U>(self, change: impl FnMut(T) -> Result<U>) -> Result<Page<U, K>> {
        let items = self.items.into_iter().map(change).collect::<Result<_>>()?;
        Ok(Page {
            items,
            next: self.next,
            total: self.total,
        })
    }

    /// The page with other items in it.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U, K> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next: self.next,
            total: self.total,
        }
    }
}
