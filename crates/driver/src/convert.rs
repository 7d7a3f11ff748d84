//! Converts values, exceptions and texts from QuickJS.
//!
//! Reading a value can run the driver's code (getters, proxies, `toString`), and that code can throw or
//! loop. So everything here runs under the call's limits, checks at the end whether they were exceeded, and
//! trusts no property of a value beyond its own message.

use rquickjs::{Coerced, Ctx, Object, String as JsString, Type, Value, qjs};

use super::error::{DriverError, DriverErrorKind};
use super::protocol::{WARNINGS, cut};

/// The driver's name in stack traces; lines are counted from its own first line.
pub const SOURCE_NAME: &str = "driver.js";

/// Texts that are taken from an array of warnings or errors.
const TEXTS_MAX: usize = WARNINGS;

/// Formats a value for a person: a string as it is, an object as JSON, an error as its message.
///
/// Fails only if the engine is stopping; for a value that throws while it is formatted, its type is
/// returned.
pub fn show<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<String> {
    let shown = if let Some(text) = value.as_string() {
        Ok(Some(text.clone()))
    } else if value.is_object() && !value.is_error() && !value.is_function() {
        ctx.json_stringify(value.clone())
    } else {
        value.get::<Coerced<JsString>>().map(|text| Some(text.0))
    };
    match shown {
        Ok(Some(string)) => Ok(cut(&text(ctx, &string)?)),
        Ok(None) => Ok(kind_of(value).to_owned()),
        Err(_) => {
            let thrown = ctx.catch();
            if thrown.is_uncatchable_error() {
                return Err(ctx.throw(thrown));
            }
            Ok(format!("({} that cannot be shown)", kind_of(value)))
        }
    }
}

/// The text of a string; an unpaired surrogate becomes U+FFFD.
pub fn text<'js>(ctx: &Ctx<'js>, string: &JsString<'js>) -> rquickjs::Result<String> {
    let mut length = 0;
    // SAFETY: the string is alive for as long as it is borrowed and belongs to this context. The
    // bytes are copied before they are freed, and are not taken for valid UTF-8 (QuickJS writes an
    // unpaired surrogate as three bytes).
    unsafe {
        let bytes = qjs::JS_ToCStringLen(ctx.as_raw().as_ptr(), &mut length, string.as_raw());
        if bytes.is_null() {
            return Err(rquickjs::Error::Exception);
        }
        let copy = String::from_utf8_lossy(std::slice::from_raw_parts(bytes.cast(), length));
        let copy = copy.into_owned();
        qjs::JS_FreeCString(ctx.as_raw().as_ptr(), bytes);
        Ok(copy)
    }
}

/// Returns the kind of a value, for "returned ... instead of an object".
pub fn kind_of(value: &Value<'_>) -> &'static str {
    match value.type_of() {
        Type::Undefined | Type::Uninitialized => "undefined",
        Type::Null => "null",
        Type::Bool => "a boolean",
        Type::Int | Type::Float => "a number",
        Type::String => "a string",
        Type::Symbol => "a symbol",
        Type::BigInt => "a BigInt",
        Type::Array => "an array",
        Type::Function | Type::Constructor => "a function",
        _ => "an object",
    }
}

/// Returns the texts of `object[name]`: an array of texts, or a single text.
pub fn texts<'js>(
    ctx: &Ctx<'js>,
    object: &Object<'js>,
    name: &str,
) -> rquickjs::Result<Vec<String>> {
    let value: Value = object.get(name)?;
    if value.is_undefined() || value.is_null() {
        return Ok(Vec::new());
    }
    let Some(array) = value.as_object().filter(|_| value.is_array()) else {
        return Ok(vec![show(ctx, &value)?]);
    };
    // Read through the property, which a proxy may answer with anything.
    let length: Value = array.get("length")?;
    let length = length
        .as_number()
        .unwrap_or(0.0)
        .clamp(0.0, TEXTS_MAX as f64) as u32;
    (0..length)
        .map(|index| show(ctx, &array.get(index)?))
        .collect()
}

/// `value` as `JSON.stringify` gives it; `None` where that is `undefined`.
///
/// A cycle or a BigInt is an invalid result of the driver, not an exception in its code.
pub fn json<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Option<String>, DriverError> {
    match ctx.json_stringify(value.clone()) {
        Ok(Some(string)) => match text(ctx, &string) {
            Ok(json) => Ok(Some(json)),
            Err(_) => Err(exception(ctx)),
        },
        Ok(None) => Ok(None),
        Err(_) => {
            let mut error = exception(ctx);
            let reason = if error.message.contains("circular") {
                "the result refers to itself, which JSON cannot express"
            } else if error.message.starts_with("TypeError") && error.message.contains("BigInt") {
                "the result contains a BigInt, which JSON cannot express (use Number(...))"
            } else {
                return Err(error);
            };
            error.kind = DriverErrorKind::BadResult;
            error.message = reason.to_owned();
            Err(error)
        }
    }
}

/// Marker for a value that JSON cannot express, until the host removes it (`no_numbers`). A driver that
/// returns this text itself only loses its own value.
pub const NO_NUMBER: &str = "\0NaN";

/// The second argument of `JSON.stringify` that puts [`NO_NUMBER`] in the place of NaN, infinities and
/// broken dates, all of which would be null. It names no global, which a driver may have changed.
const MARK_NO_NUMBERS: &str = r#"(function (key, value) {
    var kind = typeof value;
    if (kind === 'number') return value - value === 0 ? value : '\u0000NaN';
    if (value === null) {
        var held = this[key];
        return held !== null && typeof held?.getTime === 'function' ? '\u0000NaN' : null;
    }
    if (kind === 'object' && typeof value.toExponential === 'function' && value - value !== 0) return '\u0000NaN';
    return value;
})"#;

/// The same as [`json`], with [`NO_NUMBER`] for what is no number and no date. Only where the result
/// holds a null, which few do, it is written a second time.
pub fn json_with_marks<'js>(
    ctx: &Ctx<'js>,
    value: &Value<'js>,
) -> Result<Option<String>, DriverError> {
    let plain = json(ctx, value)?;
    if !plain.as_ref().is_some_and(|json| json.contains("null")) {
        return Ok(plain);
    }
    let marked = ctx
        .eval::<Value, _>(MARK_NO_NUMBERS)
        .and_then(|replacer| ctx.json_stringify_replacer(value.clone(), replacer));
    match marked {
        Ok(Some(string)) => text(ctx, &string).map(Some).map_err(|_| exception(ctx)),
        Ok(None) => Ok(plain),
        Err(_) => Err(exception(ctx)),
    }
}

/// The pending exception, by what it is: a limit of the engine, or the driver's own.
pub fn exception(ctx: &Ctx<'_>) -> DriverError {
    let thrown = ctx.catch();
    let stack = thrown
        .as_object()
        .and_then(|error| string_property(ctx, error, "stack"));
    let line = stack.as_deref().and_then(line_in_stack);
    let (kind, message) = match thrown.as_object().filter(|_| thrown.is_error()) {
        Some(error) => {
            let name = string_property(ctx, error, "name").unwrap_or_default();
            let message = string_property(ctx, error, "message").unwrap_or_default();
            match (name.as_str(), message.as_str()) {
                ("InternalError", "out of memory") => (DriverErrorKind::Memory, String::new()),
                ("RangeError", "Maximum call stack size exceeded") => {
                    (DriverErrorKind::Stack, String::new())
                }
                (name, "") => (DriverErrorKind::Exception, name.to_owned()),
                ("" | "Error", message) => (DriverErrorKind::Exception, message.to_owned()),
                (name, message) => (DriverErrorKind::Exception, format!("{name}: {message}")),
            }
        }
        None => {
            let shown = show(ctx, &thrown).unwrap_or_else(|_| {
                ctx.catch();
                "a value that cannot be shown".to_owned()
            });
            (
                DriverErrorKind::Exception,
                format!("the driver threw {shown}"),
            )
        }
    };
    DriverError {
        kind,
        message: cut(&message),
        line,
        logs: Vec::new(),
        cpu_time_us: 0,
    }
}

/// Returns whether an exception could be QuickJS without memory for an error: it then throws `null`.
pub fn says_nothing(error: &DriverError) -> bool {
    error.line.is_none()
        && ["the driver threw null", "the driver threw undefined"].contains(&error.message.as_str())
}

/// A string property of an error, read without ever failing.
fn string_property<'js>(ctx: &Ctx<'js>, error: &Object<'js>, name: &str) -> Option<String> {
    let value = error.get::<_, Value>(name);
    let found = value
        .ok()
        .and_then(|value| text(ctx, value.as_string()?).ok());
    if found.is_none() {
        // Whatever the getter threw; the first exception is the one to report.
        ctx.catch();
    }
    found
}

/// The first line of the driver in a stack trace (`at f (driver.js:3:7)`).
fn line_in_stack(stack: &str) -> Option<u32> {
    let (_, rest) = stack.split_once(SOURCE_NAME)?;
    let digits = rest
        .strip_prefix(':')?
        .split(|c: char| !c.is_ascii_digit())
        .next()?;
    digits.parse().ok()
}

/// `JSON.stringify` escapes an unpaired surrogate (`\ud800`), which is no text for the rest of the
/// world: U+FFFD stands for it. Pairs are never escaped.
pub fn replace_unpaired_surrogates(json: String) -> String {
    if !json.contains("\\ud") {
        return json;
    }
    let mut result = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        result.push_str(before);
        let surrogate = escape.get(..6).filter(|escape| {
            escape.starts_with("\\ud") && matches!(escape.as_bytes()[3], b'8'..=b'9' | b'a'..=b'f')
        });
        let length = match surrogate {
            Some(_) => {
                result.push('\u{FFFD}');
                6
            }
            // A backslash and the character after it, which may be a backslash too.
            None => {
                result.push_str(&escape[..2]);
                2
            }
        };
        rest = &escape[length..];
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_that_of_the_innermost_driver_frame() {
        let stack = "    at parse (native)\n    at f (driver.js:12:3)\n    at g (driver.js:4:1)\n";
        assert_eq!(line_in_stack(stack), Some(12));
        assert_eq!(line_in_stack("    at driver.js:7:3\n"), Some(7));
        assert_eq!(line_in_stack("    at f (native)\n"), None);
        assert_eq!(line_in_stack("driver.js:99999999999:1"), None);
    }

    #[test]
    fn unpaired_surrogates_become_replacement_characters() {
        for (json, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r#"{"a":"\ud800"}"#, "{\"a\":\"\u{FFFD}\"}"),
            (
                r#"{"\udfff\n":"\ud800x"}"#,
                "{\"\u{FFFD}\\n\":\"\u{FFFD}x\"}",
            ),
            // A backslash that is itself escaped, followed by harmless text.
            (r#"{"a":"\\ud800"}"#, r#"{"a":"\\ud800"}"#),
            (r#"{"a":"\\\ud800"}"#, "{\"a\":\"\\\\\u{FFFD}\"}"),
        ] {
            assert_eq!(replace_unpaired_surrogates(json.to_owned()), expected);
        }
    }
}
