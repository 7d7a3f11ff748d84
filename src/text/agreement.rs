//! Comparison of a kind's pattern with its check, on texts made from the pattern and on others.

use proptest::{
    prelude::*,
    sample::Index,
    string::string_regex,
    test_runner::{Config, TestRunner},
};
use regex::Regex;

use super::{Kind, Precision, Text};

/// Characters that rules treat differently: all of ASCII, control characters beyond it, letters and digits of
/// other scripts, combining marks, and characters that look like blanks.
fn character() -> impl Strategy<Value = char> {
    prop_oneof![
        4 => proptest::char::range('\0', '\u{7f}'),
        1 => proptest::char::range('\u{80}', '\u{ff}'),
        1 => proptest::sample::select(vec!['ü', '二', '٣', '\u{301}', '\u{2028}', '\u{3000}', '😀']),
    ]
}

/// Checks that no text is excluded by the pattern although the server accepts it, and the reverse as far as the
/// kind's precision promises it.
pub fn check<K: Kind>() {
    let name = std::any::type_name::<K>();
    let pattern = Regex::new(K::PATTERN).unwrap();
    assert!(pattern.is_match(K::EXAMPLE), "{name}: example");
    assert!(Text::<K>::new(K::EXAMPLE).is_ok(), "{name}: example");

    let inside = K::PATTERN.strip_prefix('^').unwrap();
    let inside = inside.strip_suffix('$').unwrap();
    let fitting = || string_regex(inside).unwrap();
    // One character changed, added or taken away.
    let edit = (any::<Index>(), prop::option::of(character()), any::<bool>());
    let edited = (fitting(), edit).prop_map(|(text, (at, with, replaces))| {
        let mut characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len() + 1);
        let end = (at + usize::from(replaces)).min(characters.len());
        characters.splice(at..end, with);
        characters.into_iter().collect()
    });
    let random = prop::collection::vec(character(), 0..12)
        .prop_map(|characters| characters.into_iter().collect::<String>());
    let texts = prop_oneof![fitting(), edited, random];

    let config = Config {
        cases: 5_000,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&texts, |text| {
        let length = text.chars().count();
        if !(K::MIN..=K::MAX).contains(&length) {
            return Ok(());
        }
        let (fits, is_admitted) = (pattern.is_match(&text), K::admits(&text));
        prop_assert!(fits || !is_admitted, "the pattern excludes {:?}", text);
        let is_exact = match K::PRECISION {
            Precision::Exact => true,
            Precision::Ascii => text.is_ascii(),
            Precision::Part => false,
        };
        prop_assert!(
            is_admitted || !fits || !is_exact,
            "the pattern admits {:?}",
            text
        );
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{name}: {error}");
    }
}
