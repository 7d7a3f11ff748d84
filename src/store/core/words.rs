//! Enums that are stored as words.

use sea_orm::ColumnTrait;

use crate::error::{Error, Result};

/// Enum value that is stored as a word.
pub trait Word: Copy {
    /// Returns the word.
    fn word(self) -> &'static str;
    /// Returns the value of a word; `None` if the word is unknown.
    fn of_word(word: &str) -> Option<Self>;
}

/// Returns the value of a word from the database. An unknown word, which a newer hub may have written, is an error that
/// names the column.
pub(in crate::store) fn of_column<T: Word>(column: impl ColumnTrait, word: &str) -> Result<T> {
    T::of_word(word).ok_or_else(|| {
        let (table, column) = (column.entity_name(), column.as_str());
        Error::internal(format!(
            "column {table}.{column} has the unknown word \"{word}\""
        ))
    })
}

/// Assigns words to an enum's values; the database and the API use the same ones.
macro_rules! words {
    ($type:ident { $($value:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// Returns the word of the value in the database and the API.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($type::$value => $word),+
                }
            }
        }

        impl $crate::store::core::words::Word for $type {
            fn word(self) -> &'static str {
                self.as_str()
            }

            fn of_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some($type::$value),)+
                    _ => None,
                }
            }
        }
    };
}

pub(in crate::store) use words;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{core::jobs::State, entities::data_table_fill::Column};

    #[test]
    fn an_unknown_word_is_an_error_that_names_the_column() {
        let done: State = of_column(Column::State, "done").unwrap();
        assert_eq!(done, State::Done);
        let error = of_column::<State>(Column::State, "paused").unwrap_err();
        let cause = error.causes();
        assert!(
            cause.contains("column data_table_fills.state has the unknown word \"paused\""),
            "{cause}"
        );
    }
}
