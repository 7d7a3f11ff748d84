//! Splits a CSV file into records. Broken quotes in one record must not affect the following ones, as they
//! would with the reader of the `csv` crate, which is made for complete files.

use csv_core::ReadRecordResult;

use super::{csv_guard::is_blank, file_encoding::SAVE_AS_UTF8};

const UNCLOSED: &str = "a quote is opened that is not closed before the next delimiter or line break; \
reading continues with the next line";

const BEYOND: &str = "the quotes are broken in so many places that this row and all following rows cannot be \
separated; none of them was read";
/// Maximum number of bytes that may be scanned in vain: without a bound, a file of broken quotes would be
/// scanned to its end once for each of its lines.
const WASTED_MAX: usize = 64 * 1024 * 1024;

/// Layout of a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Character that separates cells.
    pub delimiter: u8,
    /// True if a carriage return alone ends a row, as on old Macs.
    pub is_cr_alone: bool,
    /// Offset of the first record, in bytes.
    pub start: usize,
    /// Line of the first record, counted from 1.
    pub first_line: i64,
}

impl Layout {
    /// True if the byte ends a row, outside of quotes.
    pub fn ends_record(self, byte: u8) -> bool {
        byte == b'\n' || (self.is_cr_alone && byte == b'\r')
    }
}

/// Iterator over the records of a file.
pub struct Records<'a> {
    rest: &'a [u8],
    layout: Layout,
    line: i64,
    row_max: usize,
    wasted: usize,
}

/// One record.
pub struct Record<'a> {
    /// Line of the file in which the record starts, counted from 1.
    pub line: i64,
    /// Bytes of the record, or the rule that it breaks.
    pub bytes: Result<&'a [u8], String>,
}

impl<'a> Records<'a> {
    /// Returns an iterator over the records, each of at most `row_max` bytes.
    pub fn new(file: &'a [u8], layout: Layout, row_max: usize) -> Self {
        Self {
            rest: &file[layout.start..],
            line: layout.first_line,
            layout,
            row_max,
            wasted: 0,
        }
    }
}

/// A record with broken quotes ends with its first line, so that the rows after it are not lost.
impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (end, failure) = match end_of_record(self.rest, self.layout) {
            Ok(end) if end > self.row_max => (end, Some(too_long(self.row_max))),
            Ok(end) => (end, None),
            Err(looked_at) => {
                self.wasted += looked_at;
                if self.wasted > WASTED_MAX {
                    (self.rest.len(), Some(BEYOND.to_owned()))
                } else {
                    let end = end_of_line(self.rest, self.layout);
                    (end, Some(UNCLOSED.to_owned()))
                }
            }
        };
        let (record, rest) = self.rest.split_at(end);
        self.rest = rest;
        let line = self.line;
        self.line += lines(record, self.layout);
        Some(Record {
            line,
            bytes: failure.map_or(Ok(record), Err),
        })
    }
}

/// Counts the line breaks in a record, including the one that ends it.
fn lines(record: &[u8], layout: Layout) -> i64 {
    let is_break = |at: usize| match record[at] {
        b'\n' => true,
        b'\r' => layout.is_cr_alone && record.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    let count = (0..record.len()).filter(|at| is_break(*at)).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn end_of_line(file: &[u8], layout: Layout) -> usize {
    let line = file.iter().position(|byte| layout.ends_record(*byte));
    let Some(at) = line else {
        return file.len();
    };
    at + length_of_break(&file[at..])
}

fn length_of_break(file: &[u8]) -> usize {
    if file.starts_with(b"\r\n") { 2 } else { 1 }
}

/// Returns the end of the first record; fails with the number of bytes that were scanned if its quotes are
/// broken.
fn end_of_record(file: &[u8], layout: Layout) -> Result<usize, usize> {
    let mut at = 0;
    loop {
        // At the start of a field.
        if file.get(at) == Some(&b'"') {
            at = end_of_quoted(file, at + 1, layout)?;
        } else {
            let field = file[at..]
                .iter()
                .position(|byte| *byte == layout.delimiter || layout.ends_record(*byte));
            at += field.unwrap_or(file.len() - at);
        }
        match file.get(at) {
            Some(byte) if *byte == layout.delimiter => at += 1,
            Some(_) => return Ok(at + length_of_break(&file[at..])),
            None => return Ok(at),
        }
    }
}

/// Returns the position after the closing quote; fails with the number of bytes that were scanned if it is
/// missing.
fn end_of_quoted(file: &[u8], from: usize, layout: Layout) -> Result<usize, usize> {
    let mut at = from;
    loop {
        let quote = file[at..].iter().position(|byte| *byte == b'"');
        at += quote.ok_or(file.len())? + 1;
        match file.get(at) {
            Some(b'"') => at += 1,
            None => return Ok(at),
            Some(byte) if *byte == layout.delimiter || layout.ends_record(*byte) => return Ok(at),
            Some(b'\r') if matches!(file.get(at + 1), None | Some(b'\n')) => return Ok(at),
            Some(_) => return Err(at),
        }
    }
}

/// Refuses a row that has more cells than the header line, unless they are blank.
pub fn check_surplus(cells: &[String], wanted: usize, layout: Layout) -> Result<(), String> {
    if cells.iter().skip(wanted).all(|cell| is_blank(cell)) {
        return Ok(());
    }
    let has = cells.len();
    let delimiter = match layout.delimiter {
        b'\t' => "tab".to_owned(),
        other => format!("\"{}\"", char::from(other)),
    };
    Err(format!(
        "the row has {has} cells, but the header line has {wanted}: a cell that contains a {delimiter} must be in quotes"
    ))
}

/// Returns the error for a row that has too many bytes.
pub fn too_long(row_max: usize) -> String {
    format!("a row must have at most {row_max} bytes")
}

/// Reader of the fields of records. Reused for a whole file, because creating one costs more than reading most
/// records.
pub struct Cells {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    /// Returns a reader for this delimiter.
    pub fn new(delimiter: u8) -> Self {
        // The default terminator of the reader would also end a record at a carriage return.
        let reader = csv_core::ReaderBuilder::new()
            .delimiter(delimiter)
            .terminator(csv_core::Terminator::Any(b'\n'))
            .build();
        Self {
            reader,
            text: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Returns the fields of a record.
    pub fn of(&mut self, record: &[u8]) -> Result<Vec<String>, String> {
        if std::str::from_utf8(record).is_err() {
            return Err(format!("must be UTF-8: {SAVE_AS_UTF8}"));
        }
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        self.reader.reset();
        // A field is never longer than its source.
        self.text.resize(record.len() + 1, 0);
        let (mut rest, mut length, mut count) = (record, 0, 0);
        loop {
            if count == self.ends.len() {
                self.ends.resize(2 * count + 8, 0);
            }
            // An empty rest marks the end of the input for the reader.
            let (outcome, read, written, ended) =
                self.reader
                    .read_record(rest, &mut self.text[length..], &mut self.ends[count..]);
            rest = &rest[read..];
            length += written;
            count += ended;
            match outcome {
                ReadRecordResult::InputEmpty | ReadRecordResult::OutputEndsFull => {}
                ReadRecordResult::Record | ReadRecordResult::End => break,
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() + 1, 0),
            }
        }
        let mut start = 0;
        let field = |end: &usize| {
            let field = String::from_utf8_lossy(&self.text[start..*end]).into_owned();
            start = *end;
            field
        };
        Ok(self.ends[..count].iter().map(field).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAS: Layout = Layout {
        delimiter: b',',
        is_cr_alone: false,
        start: 0,
        first_line: 1,
    };

    fn read(file: &str, layout: Layout) -> Vec<(i64, Result<Vec<String>, String>)> {
        let mut cells = Cells::new(layout.delimiter);
        Records::new(file.as_bytes(), layout, 1000)
            .map(|record| {
                let read = record.bytes.and_then(|bytes| cells.of(bytes));
                (record.line, read)
            })
            .collect()
    }

    #[test]
    fn a_file_of_broken_quotes_is_given_up_in_time() {
        // Each line leaves a quote open that the next one closes and opens again, up to the end.
        let file = "a\",\"\n".repeat(100_000);
        let records = read(&file, COMMAS);
        let last = records.last().unwrap().1.as_ref().unwrap_err();
        assert!(
            last.starts_with("the quotes are broken in so many"),
            "{last}"
        );
        assert!(records.len() < 1000, "{}", records.len());
    }

    #[test]
    fn a_carriage_return_loses_nothing() {
        let mut reader = Cells::new(b',');
        let mut cells = |record: &[u8]| reader.of(record);
        assert_eq!(cells(b"a,x\ry\r\n").unwrap(), ["a", "x\ry"]);
        assert_eq!(cells(b"a,\"x\r\n\"\"y\"\n").unwrap(), ["a", "x\r\n\"y"]);
        assert_eq!(cells(b"a,\"b\"\r\n").unwrap(), ["a", "b"]);
        assert_eq!(cells(b",").unwrap(), ["", ""]);
        assert_eq!(cells(b"\"\"\"\"").unwrap(), ["\""]);
        assert_eq!(cells(b"\r\n").unwrap(), [""; 0]);
        assert_eq!(cells(&b",".repeat(1000)).unwrap(), [""; 1001]);
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let lines = |file: &str, layout| -> Vec<i64> {
            read(file, layout)
                .into_iter()
                .map(|record| record.0)
                .collect()
        };
        let file = "a\r\n\"b\nc\"\n\nd\rd\n\"e\n";
        assert_eq!(lines(file, COMMAS), [1, 2, 4, 5, 6]);
        let mac = Layout {
            is_cr_alone: true,
            ..COMMAS
        };
        let found = read("a,b\r\"c\rd\",e\r\r\nf", mac);
        let numbers: Vec<i64> = found.iter().map(|record| record.0).collect();
        assert_eq!(numbers, [1, 2, 4, 5]);
        assert_eq!(found[1].1.as_ref().unwrap(), &["c\rd", "e"]);
    }
}
