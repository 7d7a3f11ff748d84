//! Protection of CSV cells from spreadsheets, which turn text into formulas, numbers and errors. An export
//! guards such cells; an import removes the guard and refuses values that a spreadsheet has damaged.
//!
//! The guard is an apostrophe before the text, which marks it as text to a spreadsheet.

use std::borrow::Cow;

/// First characters with which a spreadsheet takes a cell for a formula.
const TRIGGERS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// Error values that a spreadsheet shows for a formula that it cannot compute.
const ERRORS: [&str; 10] = [
    "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#SPILL!", "#CALC!",
    "#FIELD!",
];
/// Number of digits that a spreadsheet keeps of a number.
const DIGITS_MAX: usize = 15;
const GUARD: char = '\'';

/// Returns the text of an exported cell, with a guard if a spreadsheet would compute it.
pub fn guarded(text: &str) -> Cow<'_, str> {
    // Text that starts with an apostrophe before a formula needs a guard too: an import would remove its own
    // apostrophe.
    if is_computed(text.trim_start_matches(GUARD)) {
        return Cow::Owned(format!("{GUARD}{text}"));
    }
    Cow::Borrowed(text)
}

/// Reverses [`guarded`]. Keeps an apostrophe that guards nothing, as in `'s-Gravenhage`.
pub fn read_text(cell: &str) -> Result<&str, String> {
    if let Some(text) = text_in_formula(cell) {
        return Ok(text);
    }
    refuse_error(cell)?;
    match cell.strip_prefix(GUARD) {
        Some(text) if is_computed(text.trim_start_matches(GUARD)) => Ok(text),
        _ => Ok(cell),
    }
}

/// Returns an exported id, with a guard also if a spreadsheet would turn it into a number.
pub fn guarded_id(id: &str) -> Cow<'_, str> {
    let is_plain = !id.starts_with(GUARD)
        && !is_computed(id)
        && spreadsheet_number_error(id).is_none()
        && id.trim() == id;
    if is_plain {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("{GUARD}{id}"))
}

/// Reverses [`guarded_id`]. Always removes an apostrophe, since people put one before digits for the sake of
/// the spreadsheet. Refuses a number in the notation of a spreadsheet, because its digits are lost.
pub fn read_id(cell: &str) -> Result<&str, String> {
    if let Some(id) = cell.strip_prefix(GUARD) {
        return Ok(id);
    }
    let cell = cell.trim();
    if let Some(id) = text_in_formula(cell) {
        return Ok(id);
    }
    refuse_error(cell)?;
    match spreadsheet_number_error(cell) {
        Some(rule) => Err(rule.to_owned()),
        None => Ok(cell),
    }
}

/// True if the cell is empty, in any of the ways in which spreadsheets write that.
pub fn is_blank(cell: &str) -> bool {
    matches!(cell.trim(), "" | "'" | "=\"\"")
}

/// Parses a whole number as spreadsheets write it: `3`, `3.0` or `3,00`. Refuses three zeros, which could be
/// thousands.
pub fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim();
    let whole = match text.split_once(['.', ',']) {
        Some((whole, "0" | "00")) => whole,
        Some(_) => return None,
        None => text,
    };
    whole.parse().ok()
}

fn is_computed(text: &str) -> bool {
    text.starts_with(TRIGGERS) || ERRORS.contains(&text)
}

/// Returns the text in `="text"`, with which people make spreadsheets keep all digits.
fn text_in_formula(cell: &str) -> Option<&str> {
    let text = cell.strip_prefix("=\"")?.strip_suffix('"')?;
    (!text.contains('"')).then_some(text)
}

fn refuse_error(cell: &str) -> Result<(), String> {
    if ERRORS.contains(&cell.trim()) {
        let rule =
            "is an error value of a spreadsheet: format the column as text and write it again";
        return Err(rule.to_owned());
    }
    Ok(())
}

/// Returns the rule that an id breaks if a spreadsheet has turned it into a number.
fn spreadsheet_number_error(id: &str) -> Option<&'static str> {
    if is_scientific(id) {
        return Some(
            "was converted to a number by a spreadsheet and has lost digits: format the column as text and write \
             the id again, or put an apostrophe before it",
        );
    }
    if is_rounded(id) {
        return Some(
            "looks like a number that a spreadsheet has rounded to 15 digits: format the column as text and write \
             the id again, or put an apostrophe before it if it is correct",
        );
    }
    None
}

/// True for `7.08E+15`, `7,08E+15`, `1E-05`.
fn is_scientific(id: &str) -> bool {
    let Some((number, exponent)) = id.split_once(['E', 'e']) else {
        return false;
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = match number.split_once(['.', ',']) {
        Some((whole, rest)) => is_digits(whole) && is_digits(rest),
        None => is_digits(number),
    };
    let exponent = exponent.strip_prefix(['+', '-']);
    is_number && exponent.is_some_and(is_digits)
}

fn is_rounded(id: &str) -> bool {
    id.len() > DIGITS_MAX
        && !id.starts_with('0')
        && id.bytes().all(|byte| byte.is_ascii_digit())
        && id.bytes().skip(DIGITS_MAX).all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_guard_goes_on_and_comes_off() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("-5 °C", "'-5 °C"),
            ("@here", "'@here"),
            ("\tx", "'\tx"),
            ("#N/A", "'#N/A"),
            ("'=x", "''=x"),
            ("'s-Gravenhage", "'s-Gravenhage"),
            ("Room 2", "Room 2"),
            ("", ""),
        ] {
            assert_eq!(guarded(text), expected);
            assert_eq!(read_text(expected).unwrap(), text);
        }
        // Cells that were written by hand stay unchanged.
        assert_eq!(read_text("-5 °C").unwrap(), "-5 °C");
        assert_eq!(read_text("=\"007\"").unwrap(), "007");
        assert!(read_text("#NAME?").is_err());
    }

    #[test]
    fn an_id_that_a_spreadsheet_has_spoiled_is_refused() {
        for id in ["7.08E+15", "7,08e+15", "1E-05", "1234567890123450", "#REF!"] {
            assert!(read_id(id).is_err(), "{id}");
            assert_eq!(guarded_id(id), format!("'{id}"));
            assert_eq!(read_id(&format!("'{id}")).unwrap(), id);
        }
        for (cell, id) in [
            ("24E124538C194501", "24E124538C194501"),
            (" 24E124538C194501\u{a0}", "24E124538C194501"),
            ("'24E124538C194508", "24E124538C194508"),
            ("=\"0024E124538C1945\"", "0024E124538C1945"),
            ("1234567890123456", "1234567890123456"),
            ("0000000000000010", "0000000000000010"),
            ("24E1245389012345", "24E1245389012345"),
        ] {
            assert_eq!(read_id(cell).unwrap(), id);
        }
    }

    #[test]
    fn numbers_are_read_where_they_are_whole() {
        for text in ["3", "3.0", "3,00", " 3 "] {
            assert_eq!(whole_number(text), Some(3), "{text}");
        }
        for text in ["", "3.5", "3.000", "3,", "3E+05", "1.234.0", "x"] {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_guards(text in "['=+@#\t\r -]{0,4}(N/A|x|E\\+|[0-9.,]){0,20}['\" ]{0,2}") {
            let cell = guarded(&text);
            prop_assert_eq!(read_text(&cell), Ok(&*text));
            let cell = guarded_id(&text);
            prop_assert_eq!(read_id(&cell), Ok(&*text));
            let first = cell.chars().next();
            prop_assert!(first.is_none_or(|first| !TRIGGERS.contains(&first)));
        }
    }
}
