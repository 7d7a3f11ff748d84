//! First rows of a query, up to a size: a row may be as large as the body of a request, so the number of rows alone
//! bounds no memory. Bytes alone do not either, because a short number in an array takes many times its text.

use sea_orm::{
    DbErr, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
    SelectModel, SelectTwo, SelectTwoModel, SelectorTrait,
    sqlx::{Decode, Row, Sqlite, TypeInfo, ValueRef},
};

/// Maximum size of a step's rows, as they are stored: bytes, and values of JSON.
const STEP_BYTES_MAX: usize = 1 << 20;
const STEP_VALUES_MAX: usize = 50_000;
/// Maximum size of a page's rows, as they are stored: bytes, and values of JSON.
const PAGE_BYTES_MAX: usize = 4 << 20;
const PAGE_VALUES_MAX: usize = 100_000;
/// Memory that a value of JSON takes beside its text, in bytes, about.
const VALUE_BYTES: usize = 64;

/// Size of the rows that are read at a time. A row that is larger than that is read alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ration {
    /// As many rows as requested, whatever their size.
    Whole,
    /// Rows of up to 1 MiB and 50,000 values, for work that goes on with the next ones.
    Step,
    /// Rows of up to 4 MiB and 100,000 values, for a page that a client gets.
    Page,
}

/// Size of texts, such as those of rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    bytes: usize,
    /// Number of commas, which is about that of the values if the text is JSON.
    values: usize,
}

/// Query for rows that can be read one by one.
pub(in crate::store) trait Rows:
    QueryFilter + QueryOrder + QuerySelect + QueryTrait + Clone + Send + Sync
{
    /// Reads a row.
    type Selector: SelectorTrait<Item: Send>;
}

/// Row of a query.
pub(in crate::store) type RowOf<Q> = <<Q as Rows>::Selector as SelectorTrait>::Item;

/// First rows of a query.
#[derive(Debug)]
pub struct Part<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Size of those within the ration.
    pub size: Size,
    /// True if the last row is beyond the ration, and there may be more.
    pub is_cut: bool,
}

impl Ration {
    /// True if something of this size is larger.
    pub fn is_exceeded(self, size: Size) -> bool {
        let (bytes, values) = match self {
            Self::Whole => return false,
            Self::Step => (STEP_BYTES_MAX, STEP_VALUES_MAX),
            Self::Page => (PAGE_BYTES_MAX, PAGE_VALUES_MAX),
        };
        size.bytes > bytes || size.values > values
    }
}

impl Size {
    /// Returns the size of a text.
    pub fn of(text: &[u8]) -> Self {
        Self {
            bytes: text.len(),
            values: text.iter().filter(|byte| **byte == b',').count(),
        }
    }

    /// Returns the size of both.
    pub fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            values: self.values.saturating_add(other.values),
        }
    }

    /// Returns the bytes of memory that the text takes together with what is read from it.
    pub fn memory(self) -> usize {
        let values = self.values.saturating_mul(VALUE_BYTES);
        self.bytes.saturating_mul(2).saturating_add(values)
    }
}

impl<E: EntityTrait<Model: Send>> Rows for Select<E> {
    type Selector = SelectModel<E::Model>;
}

impl<E: EntityTrait<Model: Send>, R: EntityTrait<Model: Send>> Rows for SelectTwo<E, R> {
    type Selector = SelectTwoModel<E::Model, R::Model>;
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            size: Size::default(),
            is_cut: false,
        }
    }
}

impl Part<QueryResult> {
    /// Reads the rows.
    pub fn read<S: SelectorTrait>(self) -> Result<Part<S::Item>, DbErr> {
        let rows = self.rows.into_iter().map(S::from_raw_query_result);
        Ok(Part {
            rows: rows.collect::<Result<_, _>>()?,
            size: self.size,
            is_cut: self.is_cut,
        })
    }

    /// Adds the next row of the query. Returns false if that row is beyond the ration.
    pub fn add(&mut self, row: QueryResult, ration: Ration) -> bool {
        let size = self.size.and(size_of(&row));
        self.is_cut = ration.is_exceeded(size) && !self.rows.is_empty();
        self.rows.push(row);
        if !self.is_cut {
            self.size = size;
        }
        !self.is_cut
    }
}

/// Returns the size of a row. SQLite's numbers are so small that they are left out.
fn size_of(row: &QueryResult) -> Size {
    if let Some(row) = row.try_as_pg_row() {
        let size = |at| row.try_get_raw(at).ok()?.as_bytes().ok().map(Size::of);
        return (0..row.len())
            .filter_map(size)
            .fold(Size::default(), Size::and);
    }
    let Some(row) = row.try_as_sqlite_row() else {
        return Size::default();
    };
    let size = |at| {
        let value = row.try_get_raw(at).ok()?;
        let is_long = matches!(value.type_info().name(), "TEXT" | "BLOB");
        let bytes = is_long.then(|| <&[u8] as Decode<Sqlite>>::decode(value));
        bytes?.ok().map(Size::of)
    };
    (0..row.len())
        .filter_map(size)
        .fold(Size::default(), Size::and)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_count_beside_their_text() {
        let few = Size::of(&vec![b'x'; PAGE_BYTES_MAX]);
        assert!(!Ration::Page.is_exceeded(few) && Ration::Step.is_exceeded(few));
        assert!(Ration::Page.is_exceeded(few.and(Size::of(b"x"))));
        assert_eq!(few.memory(), 2 * PAGE_BYTES_MAX);
        let many = Size::of("1,".repeat(PAGE_VALUES_MAX).as_bytes());
        assert!(!Ration::Page.is_exceeded(many) && Ration::Step.is_exceeded(many));
        assert!(Ration::Page.is_exceeded(many.and(Size::of(b","))));
        assert_eq!(many.memory(), (4 + VALUE_BYTES) * PAGE_VALUES_MAX);
        let all = few.and(many).and(many);
        assert!(!Ration::Whole.is_exceeded(all));
    }
}
