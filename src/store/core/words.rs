//! Enums that are stored as words.

/// Enum value that is stored as a word.
pub trait Word: Copy {
    /// Returns the word.
    fn word(self) -> &'static str;
    /// Returns the value of a word; `None` if the word is unknown.
    fn of_word(word: &str) -> Option<Self>;
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
