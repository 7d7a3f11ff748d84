//! Enums of the document that say what enums or words of the store say.

/// The same variants on both sides: each side becomes the other.
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

/// The store's word for each variant. A word that the store should not have is read as the last.
macro_rules! words {
    ($here:ident: $($variant:ident = $word:literal),+; $last:ident = $last_word:literal) => {
        impl $here {
            /// The store's word for it.
            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::$last => $last_word,
                }
            }

            /// The variant of the store's word.
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
