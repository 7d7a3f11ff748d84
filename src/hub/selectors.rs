//! Label selectors in requests.

use crate::{
    error::{Error, Result},
    selector::Selector,
};

/// Parses a selector; the error names the field.
pub fn parse_selector(text: &str) -> Result<Selector> {
    Selector::parse(text).map_err(|error| Error::field("selector", error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::{DeviceLabel, Label};

    proptest! {
        /// Which is what a label is for.
        #[test]
        fn a_selector_matches_every_label_of_a_device(text in "[ab:=/ -]{1,8}|[\\p{L}\\p{N}:=/._ -]{1,20}|or|NOT") {
            let quoted = |text: &str| format!("\"{text}\"");
            let picks = |selector: String| Selector::parse(&selector).map(|selector| selector.matches(std::slice::from_ref(&text)));
            if DeviceLabel::new(text.as_str()).is_ok() {
                prop_assert_eq!(picks(quoted(&text)), Ok(true));
                if let Some((key, value)) = text.split_once('=') {
                    prop_assert_eq!(picks(format!("{}={}", quoted(key), quoted(value))), Ok(true));
                    prop_assert_eq!(picks(quoted(key)), Ok(true));
                    prop_assert_eq!(key.trim(), key);
                    prop_assert_eq!(value.trim(), value);
                }
            } else {
                // The rule refuses nothing but what it names.
                let named = [" :", ": ", " =", "= "].iter().any(|beside| text.contains(beside));
                prop_assert!(named || text.starts_with('=') || Label::new(text.as_str()).is_err(), "{}", text);
            }
        }
    }
}
