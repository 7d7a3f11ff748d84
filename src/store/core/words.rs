//! Enums whose values are words in the database.

/// A value that is a word in the database.
pub trait Word: Copy {
    /// The word.
    fn word(self) -> &'static str;
    /// The value of a word; `None`: it is none of these.
    fn of_word(word: &str) -> Option<Self>;
}

/// Gives an enum its words, of which the database and the API have the same.
macro_rules! words {
    ($type:ident { $($value:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// As it is written in the database and in the API.
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
