//! Page of a list.

use super::room::Room;
use crate::error::Result;

/// Page of a list.
#[derive(Debug)]
pub struct Page<T, K> {
    /// Items in the order of the list.
    pub items: Vec<T>,
    /// Place after which the next page starts; `None` at the end.
    pub next: Option<K>,
    /// Number of items on all pages; `None` if it was not requested.
    pub total: Option<u64>,
    /// Memory of the page, to be held as long as anything made of it.
    pub room: Room,
}

impl<T, K> Page<T, K> {
    /// Makes a page of at most `limit` items from a query that requested one more.
    pub(in crate::store) fn cut(mut items: Vec<T>, limit: u64, key: impl Fn(&T) -> K) -> Self {
        let more = items.len() as u64 > limit;
        items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = if more { items.last().map(key) } else { None };
        Self {
            items,
            next,
            total: None,
            room: Room::none(),
        }
    }

    /// Sets the total number of items.
    pub(in crate::store) fn of(self, total: Option<u64>) -> Self {
        Self { total, ..self }
    }

    /// Converts the items; fails if one of them fails.
    pub fn try_map<U>(self, change: impl FnMut(T) -> Result<U>) -> Result<Page<U, K>> {
        let items = self.items.into_iter().map(change).collect::<Result<_>>()?;
        Ok(Page {
            items,
            next: self.next,
            total: self.total,
            room: self.room,
        })
    }

    /// Converts the items.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U, K> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next: self.next,
            total: self.total,
            room: self.room,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_its_limit_or_the_list_does() {
        for (found, limit, items, next) in [
            (vec![1, 2, 3], 2, vec![1, 2], Some(2)),
            (vec![1, 2], 2, vec![1, 2], None),
            (vec![1], 2, vec![1], None),
            (vec![], 2, vec![], None),
        ] {
            let page = Page::cut(found, limit, |item| *item).of(Some(9));
            assert_eq!(
                (&page.items, page.next, page.total),
                (&items, next, Some(9))
            );
            let page = page.map(|item| item * 10);
            let tens: Vec<i32> = items.iter().map(|item| item * 10).collect();
            assert_eq!((page.items, page.next, page.total), (tens, next, Some(9)));
        }
    }
}
