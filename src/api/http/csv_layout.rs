//! Detection of a CSV file's layout: the delimiter and the line break. Spreadsheets take both from the settings
//! of the computer that they run on.

use super::{
    csv_guard::is_blank,
    csv_records::{Cells, Layout},
};
use crate::error::Error;

/// Possible delimiters, the most likely first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Prefix of a first line in which spreadsheets name the delimiter.
const TELLING: &str = "sep=";

/// Detects the layout of a file. The delimiter is the one that separates the header line into the most known
/// columns. A first line that names the delimiter (`sep=;`) is not part of the records. A header line of more
/// than `row_max` bytes is not analyzed.
pub fn detect(
    file: &[u8],
    row_max: usize,
    is_column: impl Fn(&str) -> bool,
) -> Result<Layout, Error> {
    let mut layout = Layout {
        delimiter: DELIMITERS[0],
        is_cr_alone: false,
        start: 0,
        first_line: 1,
    };
    let mut is_first = true;
    let mut rest = file;
    while !rest.is_empty() {
        let (line, ended_by) = first_line(rest);
        rest = &rest[line.len() + ended_by.len()..];
        layout.is_cr_alone = ended_by == b"\r";
        if is_first && let Some(told) = told_delimiter(line)? {
            layout.delimiter = told;
            layout.start = file.len() - rest.len();
            layout.first_line = 2;
            return Ok(layout);
        }
        is_first = false;
        if !is_empty(line) {
            if line.len() <= row_max {
                layout.delimiter = delimiter_of(line, is_column);
            }
            break;
        }
    }
    Ok(layout)
}

/// Returns the first line and its line break.
fn first_line(file: &[u8]) -> (&[u8], &[u8]) {
    let end = file.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let (line, rest) = file.split_at(end.unwrap_or(file.len()));
    let length = match rest {
        [b'\r', b'\n', ..] => 2,
        [] => 0,
        _ => 1,
    };
    (line, &rest[..length])
}

fn told_delimiter(line: &[u8]) -> Result<Option<u8>, Error> {
    let Ok(line) = std::str::from_utf8(line) else {
        return Ok(None);
    };
    let line = line.strip_prefix('"').unwrap_or(line);
    let Some((start, told)) = line.split_at_checked(TELLING.len()) else {
        return Ok(None);
    };
    if !start.eq_ignore_ascii_case(TELLING) {
        return Ok(None);
    }
    let told = told.strip_suffix('"').unwrap_or(told);
    match told.as_bytes() {
        [delimiter] if DELIMITERS.contains(delimiter) => Ok(Some(*delimiter)),
        _ => Err(Error::field(
            "line 1",
            "sep= must be followed by a comma, a semicolon, a tab or a vertical bar, and nothing else",
        )),
    }
}

/// True if a line contains only delimiters, blanks and quotes.
fn is_empty(line: &[u8]) -> bool {
    let is_nothing =
        |byte: &u8| DELIMITERS.contains(byte) || byte.is_ascii_whitespace() || *byte == b'"';
    line.iter().all(is_nothing)
}

fn delimiter_of(header: &[u8], is_column: impl Fn(&str) -> bool) -> u8 {
    let columns = |delimiter: &u8| {
        let cells = Cells::new(*delimiter).of(header).unwrap_or_default();
        let known = cells.iter().filter(|cell| is_column(cell)).count();
        let named = cells.iter().filter(|cell| !is_blank(cell)).count();
        // If no column is known, the delimiter with the most cells wins.
        (known, named)
    };
    // `max_by_key` returns the last of equal elements, so the order is reversed to prefer the most likely one.
    let likeliest = DELIMITERS
        .iter()
        .rev()
        .max_by_key(|delimiter| columns(delimiter));
    likeliest.copied().unwrap_or(DELIMITERS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(file: &str) -> Result<Layout, String> {
        let is_column = |name: &str| ["id", "name", "labels"].contains(&name.trim());
        detect(file.as_bytes(), 1000, is_column).map_err(|error| error.to_string())
    }

    #[test]
    fn the_header_line_tells_the_delimiter() {
        for (file, delimiter) in [
            ("id,name\n", b','),
            ("id;name\n", b';'),
            ("id\tname\n", b'\t'),
            ("id|name\n", b'|'),
            ("id\n", b','),
            ("id;;;\n", b';'),
            ("\n;;;\r\nid;name\r\n", b';'),
            ("\"id\";\"name, and more\"\n", b';'),
            ("colour;size\n", b';'),
            ("id;name,labels\n", b','),
            ("", b','),
        ] {
            assert_eq!(layout(file).unwrap().delimiter, delimiter, "{file:?}");
        }
    }

    #[test]
    fn the_first_line_may_tell_the_delimiter() {
        for (file, delimiter, start) in [
            ("sep=;\r\nid,name\r\n", b';', 7),
            ("SEP=,\nid\n", b',', 6),
            ("\"sep=|\"\nid\n", b'|', 8),
            ("sep=\t\nid\n", b'\t', 6),
        ] {
            let found = layout(file).unwrap();
            let expected = (delimiter, start, 2);
            assert_eq!(
                (found.delimiter, found.start, found.first_line),
                expected,
                "{file:?}"
            );
        }
        for file in ["sep=\nid\n", "sep=x\nid\n", "sep=;;\nid\n"] {
            assert!(layout(file).unwrap_err().starts_with("line 1: sep= must"));
        }
    }

    #[test]
    fn the_header_line_tells_what_ends_rows() {
        for (file, is_cr_alone) in [
            ("id,name\ra,b\r", true),
            ("id,name\r\na,b\r", false),
            ("id,name\na\rb", false),
            ("id", false),
        ] {
            assert_eq!(layout(file).unwrap().is_cr_alone, is_cr_alone, "{file:?}");
        }
    }
}
