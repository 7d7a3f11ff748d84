//! Conversions between enums of the OpenAPI document and those of the store.

/// Implements conversions in both directions between two enums with the same variants.
macro_rules! mirror {
    ($here:ident = $there:ident: $($variant:ident),+ $(,)?) => {
        impl From<$here> for $there {
            fn from(value: $here) -> Self {
                match value { $($here::$variant => $there::$variant),+ }
            }
        }

        impl From<$there> for $here {
            fn from(value: $there) -> Self {
                match value { $($there::$variant => $here::$variant),+ }
            }
        }
    };
}

/// Implements the conversions between an enum and the words that the store uses for its variants. An unknown
/// word is read as the last variant.
macro_rules! words {
    ($here:ident: $($variant:ident = $word:literal),+; $last:ident = $last_word:literal) => {
        impl $here {
            /// Returns the store's word for the variant.
            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::$last => $last_word,
                }
            }

            /// Returns the variant for a word of the store.
            fn of_word(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    _ => Self::$last,
                }
            }
        }
    };
}

pub(in crate::api) use {mirror, words};
