//! The things that drivers find beyond the language itself: written in JavaScript, compiled when a worker
//! starts, and there for those scripts alone whose text speaks of it.
//!
//! Looking for words in a script's text costs once, when it is compiled; a script that has no use
//! for `Buffer` pays nothing for it in any call. A word in a comment loads a part for nothing,
//! which harms nobody.

mod dates;
mod locales;
mod zones;

use rquickjs::function::Func;
use rquickjs::{Ctx, Function, Object, String as JsString, TypedArray, Value};

use super::convert;

/// One part of the prelude.
pub struct Part {
    /// Its name in stack traces.
    pub name: &'static str,
    /// An expression: a function that defines the part's globals.
    pub source: &'static str,
    /// A script whose text has one of these words gets the part.
    words: &'static [&'static str],
    /// And one of these, if there are any.
    beside: &'static [&'static str],
}

/// Words of scripts that write dates and numbers for people.
const LOCALE: &[&str] = &["toLocale", "Intl"];
/// The same, and those of scripts that sort as people do.
const COMPARING: &[&str] = &["toLocale", "Intl", "localeCompare"];

/// All parts, in the order in which they are evaluated.
pub const PARTS: [Part; 14] = [
    // Before all others: their searches must not count as the driver's.
    Part {
        name: "regexp",
        source: include_str!("regexp.js"),
        words: &["RegExp"],
        beside: &[
            "$1",
            "$2",
            "$3",
            "$4",
            "$5",
            "$6",
            "$7",
            "$8",
            "$9",
            "$_",
            "$&",
            "$+",
            "$`",
            "$'",
            "$\"",
            ".input",
            "'input",
            "\"input",
            "`input",
            "lastMatch",
            "lastParen",
            "leftContext",
            "rightContext",
        ],
    },
    Part {
        name: "errors",
        source: include_str!("errors.js"),
        words: &["catch"],
        beside: &[],
    },
    Part {
        name: "date",
        source: include_str!("date.js"),
        words: &["Date", "recvTime"],
        beside: &[],
    },
    Part {
        name: "locale",
        source: include_str!("locale.js"),
        words: COMPARING,
        beside: &[],
    },
    Part {
        name: "compare",
        source: include_str!("compare.js"),
        words: COMPARING,
        beside: &[],
    },
    Part {
        name: "intl_dates",
        source: include_str!("intl_dates.js"),
        words: LOCALE,
        beside: &[],
    },
    Part {
        name: "intl_numbers",
        source: include_str!("intl_numbers.js"),
        words: LOCALE,
        beside: &[],
    },
    Part {
        name: "intl",
        source: include_str!("intl.js"),
        words: LOCALE,
        beside: &[],
    },
    Part {
        name: "sort",
        source: include_str!("sort.js"),
        words: &["sort"],
        beside: &[],
    },
    Part {
        name: "hypot",
        source: include_str!("hypot.js"),
        words: &["hypot"],
        beside: &[],
    },
    Part {
        name: "clone",
        source: include_str!("clone.js"),
        words: &["structuredClone"],
        beside: &[],
    },
    Part {
        name: "text",
        source: include_str!("text.js"),
        words: &["TextEncoder", "TextDecoder"],
        beside: &[],
    },
    Part {
        name: "buffer",
        source: include_str!("buffer.js"),
        words: &[
            "Buffer",
            "require('buffer",
            "require(\"buffer",
            "node:buffer",
        ],
        beside: &[],
    },
    Part {
        name: "require",
        source: include_str!("require.js"),
        words: &["require('buffer", "require(\"buffer", "node:buffer"],
        beside: &[],
    },
];

/// The parts that a script gets, as indices into [`PARTS`].
pub fn parts_for(script: &str) -> Vec<usize> {
    if COMPARING.iter().any(|word| script.contains(word)) {
        locales::load();
    }
    PARTS
        .iter()
        .enumerate()
        .filter(|(_, part)| {
            let has_any = |words: &[&str]| words.iter().any(|word| script.contains(word));
            has_any(part.words) && (part.beside.is_empty() || has_any(part.beside))
        })
        .map(|(index, _)| index)
        .collect()
}

/// The functions in Rust, for what parts cannot do themselves, or not fast.
pub fn natives<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    natives.set("utf8Encode", Func::from(utf8_encode))?;
    natives.set("utf8Decode", Func::from(utf8_decode))?;
    natives.set("utf8Check", Func::from(utf8_check))?;
    natives.set("parseDate", Func::from(parse_date))?;
    zones::install(&natives)?;
    locales::install(&natives)?;
    Ok(natives)
}

/// Evaluates a part: `function` is what its source gave.
pub fn install<'js>(function: Value<'js>, natives: &Object<'js>) -> rquickjs::Result<()> {
    let function: Function = function.get()?;
    function.call((natives.clone(),))
}

fn utf8_encode<'js>(ctx: Ctx<'js>, text: JsString<'js>) -> rquickjs::Result<TypedArray<'js, u8>> {
    TypedArray::new_copy(ctx.clone(), convert::text(&ctx, &text)?)
}

fn utf8_decode(bytes: TypedArray<'_, u8>) -> String {
    // SAFETY: no script runs before the bytes are copied.
    let bytes = unsafe { bytes.as_bytes() };
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// Milliseconds since 1970, or NaN.
fn parse_date<'js>(ctx: Ctx<'js>, text: JsString<'js>) -> rquickjs::Result<f64> {
    let text = convert::text(&ctx, &text)?;
    Ok(dates::parse(&text).map_or(f64::NAN, |time_ms| time_ms as f64))
}

fn utf8_check(bytes: TypedArray<'_, u8>) -> bool {
    // SAFETY: no script runs before the answer is there.
    let bytes = unsafe { bytes.as_bytes() };
    std::str::from_utf8(bytes.unwrap_or_default()).is_ok()
}
