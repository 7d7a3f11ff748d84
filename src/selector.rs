//! Label selectors: one small language that picks devices by their labels, the same wherever a
//! person may pick devices (lists, data tables, integrations, streams).
//!
//! ```text
//! site=berlin, !retired, type in (ers, ems)
//! ```
//!
//! ```ebnf
//! selector = [ any ] ;                       (* empty or blank: every device *)
//! any      = all , { "or" , all } ;          (* "or" binds weaker than "and" *)
//! all      = not , { ( "," | "and" ) , not } ;
//! not      = { "!" | "not" } , ( "(" , any , ")" | term ) ;
//! term     = label , [ ( "=" | "!=" ) , label
//!                    | [ "not" ] , "in" , "(" , label , { "," , label } , ")" ] ;
//! label    = bare | quoted ;
//! bare     = ( letter | digit | "-" | "_" | "." | ":" | "/" )+ ;   (* any script; no keyword *)
//! quoted   = '"' , { character | '\"' | '\\' } , '"' ;             (* no control characters *)
//! ```
//!
//! White space separates and is otherwise free. The keywords `and`, `or`, `not`, `in` are read in
//! any case; labels are compared exactly, case included. A label that holds a space, an `=` or is
//! named like a keyword needs quotes. Quoted text is not held to the characters that a label may
//! have, so that this grammar need not change when those do.
//!
//! A label splits at its first `=` into key and value. `retired` matches a device that has the
//! label `retired` or any label with the key `retired`; `"site=berlin"` matches that exact label,
//! as `site=berlin` does. `site!=berlin` and `site not in (berlin)` are the negations, so they
//! match devices without any `site`, too.
//!
//! Invariant: recursion over a [`Selector`] is safe. Its depth and its number of terms were limited when it
//! was parsed, and parsing is the only way to make one.

use std::fmt;

mod grammar;

const KEYWORDS: [&str; 4] = ["and", "or", "not", "in"];

/// A parsed label selector. Its `Display` is a canonical text that parses to an equal selector
/// (it can be longer than what was parsed, by spaces: keep the person's own text for storage).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    expression: Expression,
}

/// The condition that a selector puts on the labels of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// All of these conditions; empty only for the empty selector, which every device matches.
    All(Vec<Expression>),
    /// At least one of these conditions; there are two or more.
    Any(Vec<Expression>),
    /// The negation of this condition.
    Not(Box<Expression>),
    /// The device has exactly this label, or a label with this key. A name that contains `=` is not a key.
    Exists(String),
    /// The device has a label `key=value` with one of the values.
    In {
        /// Key; not empty, without `=`.
        key: String,
        /// One or more values; a value may contain `=` and may be empty.
        values: Vec<String>,
    },
}

/// Reason and position of a syntax error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at column {column}: {message}")]
pub struct SelectorError {
    /// Position of the error in characters, starting at 1; one past the last character if it is at the end.
    pub column: usize,
    /// Description of the error, for a person.
    pub message: String,
}

impl Selector {
    /// Maximum length of a selector, in characters.
    pub const MAX_CHARS: usize = 4096;
    /// Maximum number of terms in a selector; every value of an `in (...)` counts as one.
    pub const MAX_TERMS: usize = 256;
    /// Maximum depth of nested parentheses.
    pub const MAX_DEPTH: usize = 32;
    /// Maximum length of a label in characters, `key=value` together.
    pub const MAX_LABEL_CHARS: usize = 120;

    /// Parses a selector. An empty or blank text is the selector that every device matches.
    ///
    /// # Errors
    /// Fails at the first position where the text violates the grammar or exceeds a limit.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        if text.chars().nth(Self::MAX_CHARS).is_some() {
            let message = format!("a selector has at most {} characters", Self::MAX_CHARS);
            return Err(SelectorError {
                column: Self::MAX_CHARS + 1,
                message,
            });
        }
        let expression = grammar::read(text)?;
        Ok(Selector { expression })
    }

    /// Returns true if a device with these labels matches. Runs for every uplink, so it does not allocate.
    #[must_use]
    pub fn matches(&self, labels: &[String]) -> bool {
        self.expression.matches(labels)
    }

    /// The parsed form, for translation into other languages such as SQL.
    #[must_use]
    pub fn expression(&self) -> &Expression {
        &self.expression
    }
}

impl Expression {
    fn matches(&self, labels: &[String]) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(labels)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(labels)),
            Self::Not(part) => !part.matches(labels),
            Self::Exists(name) => labels.iter().any(|label| {
                let rest = label.strip_prefix(name.as_str());
                rest.is_some_and(|rest| {
                    rest.is_empty() || (rest.starts_with('=') && !name.contains('='))
                })
            }),
            Self::In { key, values } => labels.iter().any(|label| {
                let value = label
                    .strip_prefix(key.as_str())
                    .and_then(|rest| rest.strip_prefix('='));
                value.is_some_and(|value| values.iter().any(|wanted| wanted == value))
            }),
        }
    }

    /// Joins and flattens conditions, so that one meaning has one tree: `a, (b, c)` is `a, b, c`.
    fn join(parts: Vec<Self>, wrap: fn(Vec<Self>) -> Self) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match (wrap(Vec::new()), part) {
                (Self::All(_), Self::All(inner)) | (Self::Any(_), Self::Any(inner)) => {
                    flat.extend(inner);
                }
                (_, part) => flat.push(part),
            }
        }
        if flat.len() == 1
            && let Some(only) = flat.pop()
        {
            only
        } else {
            wrap(flat)
        }
    }

    fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(out)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => list(out, parts, ", ", |part, out| match part {
                Self::Any(_) => write!(out, "({part})"),
                _ => part.fmt(out),
            }),
            Self::Any(parts) => list(out, parts, " or ", fmt::Display::fmt),
            Self::Not(part) => match &**part {
                Self::All(_) | Self::Any(_) => write!(out, "!({part})"),
                Self::In { key, values } => membership(out, key, values, ["!=", "not in"]),
                Self::Exists(_) | Self::Not(_) => write!(out, "!{part}"),
            },
            Self::Exists(name) => write!(out, "{}", Text(name)),
            Self::In { key, values } => membership(out, key, values, ["=", "in"]),
        }
    }
}

fn list<T>(
    out: &mut fmt::Formatter<'_>,
    parts: &[T],
    separator: &str,
    one: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.write_str(separator)?;
        }
        one(part, out)?;
    }
    Ok(())
}

fn membership(
    out: &mut fmt::Formatter<'_>,
    key: &str,
    values: &[String],
    [single, many]: [&str; 2],
) -> fmt::Result {
    if let [value] = values {
        return write!(out, "{}{single}{}", Text(key), Text(value));
    }
    write!(out, "{} {many} (", Text(key))?;
    list(out, values, ", ", |value, out| {
        write!(out, "{}", Text(value))
    })?;
    out.write_str(")")
}

/// A label in the syntax of the grammar: unquoted where possible, otherwise quoted.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.chars().all(is_bare) && !is_keyword(self.0) {
            return out.write_str(self.0);
        }
        write!(
            out,
            "\"{}\"",
            self.0.replace('\\', "\\\\").replace('"', "\\\"")
        )
    }
}

fn is_bare(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '_' | '.' | ':' | '/')
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS
        .iter()
        .any(|keyword| keyword.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Selector {
        Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn picks_devices() {
        #[rustfmt::skip]
        let table: &[(&str, &[&str], bool)] = &[
            ("",                                &[],                            true),
            (" \n ",                            &["a"],                         true),
            ("retired",                         &["retired"],                   true),
            ("retired",                         &["retired=2024"],              true),
            ("retired",                         &["retired-soon", "is retired"], false),
            ("Retired",                         &["retired"],                   false),
            ("site=berlin",                     &["x", "site=berlin"],          true),
            ("site = berlin",                   &["site=berlin-mitte"],         false),
            ("site=berlin",                     &["site"],                      false),
            ("site!=berlin",                    &["site=paris"],                true),
            ("site!=berlin",                    &[],                            true),
            ("site!=berlin",                    &["site=paris", "site=berlin"], false),
            ("type in (ers, ems)",              &["type=ems"],                  true),
            ("type in (ers, ems)",              &["type=elt"],                  false),
            ("type in (ers, ems)",              &["ems"],                       false),
            ("type not in (ers, ems)",          &["type=elt"],                  true),
            ("type NOT IN(ers,ems)",            &["type=ers"],                  false),
            ("not type in (ers)",               &[],                            true),
            ("a, b",                            &["b", "a"],                    true),
            ("a and b",                         &["a"],                         false),
            ("a, b or c",                       &["c"],                         true),
            ("a, (b or c)",                     &["c"],                         false),
            ("a OR b AND c",                    &["a"],                         true),
            ("!a",                              &["b"],                         true),
            ("!!a",                             &["a"],                         true),
            ("not !a, b",                       &["a", "b"],                    true),
            ("!(a or b)",                       &["c"],                         true),
            ("!(a, b)",                         &["a", "b"],                    false),
            (r#""meeting room""#,               &["meeting room"],              true),
            (r#"floor="1st floor""#,            &["floor=1st floor"],           true),
            (r#""site=berlin""#,                &["site=berlin"],               true),
            (r#""site=berlin""#,                &["site=berlin=mitte"],         false),
            (r#"formula="a=b""#,                &["formula=a=b"],               true),
            (r#"site="""#,                      &["site="],                     true),
            (r#""not" or "IN""#,                &["not"],                       true),
            (r#""a\"b\\c""#,                    &[r#"a"b\c"#],                  true),
            ("Türsensor, 設備=温度計",            &["Türsensor", "設備=温度計"],     true),
            ("urn:dev/1.0_x-y",                 &["urn:dev/1.0_x-y"],           true),
        ];
        for (selector, labels, wanted) in table {
            let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
            assert_eq!(
                parse(selector).matches(&labels),
                *wanted,
                "{selector} on {labels:?}"
            );
        }
    }

    #[test]
    fn points_at_the_fault() {
        let after = r#"expected ",", "and", "or" or the end, found"#;
        #[rustfmt::skip]
        let table: &[(&str, usize, &str)] = &[
            ("a, )",             4,  r#"expected a label, found ")""#),
            ("a,",               3,  "expected a label, found the end"),
            ("()",               2,  r#"expected a label, found ")""#),
            ("ü, |b",            4,  r#"expected a label, found "|""#),
            ("a, or b",          4,  r#"expected a label, found the keyword "or" (a label of that name needs quotes)"#),
            ("site=",            6,  "expected a value, found the end"),
            ("site=IN",          6,  r#"expected a value, found the keyword "IN" (a label of that name needs quotes)"#),
            ("meeting room",     9,  &format!(r#"{after} "room""#)),
            ("a \"b\"",          3,  &format!("{after} a quoted label")),
            ("a=b=c",            4,  &format!(r#"{after} "=""#)),
            ("a)",               2,  &format!(r#"{after} ")""#)),
            ("(a b)",            4,  r#"expected ",", "and", "or" or ")", found "b""#),
            ("a not b",          7,  r#"expected "in", found "b""#),
            ("a in b",           6,  r#"expected "(", found "b""#),
            ("a in (b c)",       9,  r#"expected "," or ")", found "c""#),
            ("a in ()",          7,  r#"expected a value, found ")""#),
            ("a, \"b",           4,  "this quote is not closed"),
            (r#""a\n""#,         3,  r#""\" must be followed by "\" or a quote"#),
            ("\"a\tb\"",         3,  "a label cannot contain control characters"),
            ("\"\"",             1,  "a label has at least 1 character"),
            ("\"a=b\"=c",        1,  r#"a key cannot contain "=""#),
            (&"x".repeat(121),   1,  "a label has at most 120 characters"),
            (&format!("a={}", "x".repeat(119)), 3, "a label has at most 120 characters"),
            (&"(".repeat(4096),  33, "at most 32 levels of parentheses"),
            (&"!".repeat(4096),  4097, "expected a label, found the end"),
            (&"a,".repeat(300),  513, "at most 256 terms"),
            (&" ".repeat(4097),  4097, "a selector has at most 4096 characters"),
        ];
        for (selector, column, message) in table {
            let error = Selector::parse(selector).expect_err(selector);
            assert_eq!(
                (error.column, error.message.as_str()),
                (*column, *message),
                "{selector}"
            );
        }
        let error = Selector::parse("a, )").expect_err("a parenthesis");
        assert_eq!(
            error.to_string(),
            r#"at column 4: expected a label, found ")""#
        );
    }

    #[test]
    fn what_just_fits_the_limits_is_allowed() {
        for selector in [
            // Groups side by side are not nested.
            ["(a)"; 100].join(","),
            format!("{}a{}", "(".repeat(32), ")".repeat(32)),
            "x".repeat(120),
            format!("a={}", "x".repeat(118)),
            ["a"; 256].join(","),
            format!("a{}", " ".repeat(4095)),
        ] {
            assert!(Selector::parse(&selector).is_ok(), "{selector}");
        }
    }

    #[test]
    fn one_meaning_has_one_tree_and_text() {
        for (text, canonical) in [
            (
                "site=berlin,!retired,type in(ers,ems)",
                "site=berlin, !retired, type in (ers, ems)",
            ),
            ("((a)) and (b, c) or (d or e)", "a, b, c or d or e"),
            ("not (not x in (y))", "x=y"),
            ("x not in (y)", "x!=y"),
            ("!x in (y, z)", "x not in (y, z)"),
            ("!(a or b), (c or d)", "!(a or b), (c or d)"),
            (r#""plain" or "Not" or "a b""#, r#"plain or "Not" or "a b""#),
        ] {
            assert_eq!(parse(text).to_string(), canonical);
            assert_eq!(parse(canonical), parse(text));
        }
    }

    /// Texts of the grammar, with labels that are hard to print.
    fn selectors() -> impl Strategy<Value = String> {
        let label = prop_oneof![
            "[a-zü_./:-]{1,6}".prop_filter("a keyword", |word| !is_keyword(word)),
            "[^\\p{Cc}\"\\\\]{1,6}".prop_map(|text| format!("\"{text}\"")),
            Just(r#""a\"b\\""#.to_owned()),
            Just("\"or\"".to_owned()),
        ];
        let key = label.clone().prop_filter("a key", |key| !key.contains('='));
        let term = prop_oneof![
            label.clone(),
            (key.clone(), "(=| != )", label.clone()).prop_map(|(k, o, v)| format!("{k}{o}{v}")),
            (key, "( in | not IN )", prop::collection::vec(label, 1..4))
                .prop_map(|(k, o, v)| format!("{k}{o}({})", v.join(","))),
        ];
        term.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|part| format!("!({part})")),
                ("(, | and | or )", prop::collection::vec(inner, 2..4)).prop_map(
                    |(join, parts)| {
                        parts
                            .iter()
                            .map(|part| format!("({part})"))
                            .collect::<Vec<_>>()
                            .join(&join)
                    }
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn refuses_any_text_at_a_column_of_it(text in ".*") {
            if let Err(error) = Selector::parse(&text) {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{}", error);
                prop_assert!(!error.message.is_empty());
            }
        }

        #[test]
        fn survives_pieces_of_the_grammar(
            pieces in prop::collection::vec("[ab()!=,\"\\\\ ]|in|not|or|and", 0..40)
        ) {
            if let Ok(selector) = Selector::parse(&pieces.concat()) {
                prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
            }
        }

        #[test]
        fn prints_what_it_parses(text in selectors()) {
            let selector = Selector::parse(&text);
            prop_assert!(selector.is_ok(), "{}: {:?}", text, selector);
            let printed = selector.clone().map(|selector| selector.to_string());
            prop_assert_eq!(Selector::parse(&printed.unwrap_or_default()), selector);
        }
    }
}
