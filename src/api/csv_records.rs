//! A CSV file, record by record: the quotes of one record that are broken must not take those behind
//! it along, which the reader of the `csv` crate, made for whole files, would let them.

const UNCLOSED: &str = "a quote is opened that is not closed before the next comma or line break; \
reading goes on with the next line";

const BEYOND: &str = "the quotes are broken in so many places that this row and all behind it cannot be \
told apart; none of them was read";
/// Bytes that may be looked at for nothing: without a bound, a file of broken quotes would be read to
/// its end once for each of its lines.
const WASTED_MAX: usize = 64 * 1024 * 1024;

/// The records of a file.
pub struct Records<'a> {
    rest: &'a [u8],
    row_max: usize,
    wasted: usize,
}

impl<'a> Records<'a> {
    /// The records, each of at most `row_max` bytes.
    pub fn new(file: &'a [u8], row_max: usize) -> Self {
        Self {
            rest: file,
            row_max,
            wasted: 0,
        }
    }
}

/// The bytes of each record, or what is wrong with it. One whose quotes are broken ends with its first
/// line, so that the rows behind it are not lost.
impl<'a> Iterator for Records<'a> {
    type Item = Result<&'a [u8], String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (end, failure) = match end_of_record(self.rest) {
            Ok(end) if end > self.row_max => (end, Some(too_long(self.row_max))),
            Ok(end) => (end, None),
            Err(looked_at) => {
                self.wasted += looked_at;
                if self.wasted > WASTED_MAX {
                    (self.rest.len(), Some(BEYOND.to_owned()))
                } else {
                    (end_of_line(self.rest), Some(UNCLOSED.to_owned()))
                }
            }
        };
        let (record, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(failure.map_or(Ok(record), Err))
    }
}

fn end_of_line(file: &[u8]) -> usize {
    let line = file.iter().position(|byte| *byte == b'\n');
    line.map_or(file.len(), |length| length + 1)
}

/// Where the first record ends; how far its quotes were followed, where they are broken.
fn end_of_record(file: &[u8]) -> Result<usize, usize> {
    let mut at = 0;
    loop {
        // At the start of a field.
        if file.get(at) == Some(&b'"') {
            at = end_of_quoted(file, at + 1)?;
        } else {
            let field = file[at..]
                .iter()
                .position(|byte| matches!(byte, b',' | b'\n'));
            at += field.unwrap_or(file.len() - at);
        }
        match file.get(at) {
            Some(b',') => at += 1,
            Some(b'\r') if file.get(at + 1) == Some(&b'\n') => return Ok(at + 2),
            Some(_) => return Ok(at + 1),
            None => return Ok(at),
        }
    }
}

/// The place behind the closing quote; how far it was looked for, where it is missing.
fn end_of_quoted(file: &[u8], from: usize) -> Result<usize, usize> {
    let mut at = from;
    loop {
        let quote = file[at..].iter().position(|byte| *byte == b'"');
        at += quote.ok_or(file.len())? + 1;
        match file.get(at) {
            Some(b'"') => at += 1,
            None | Some(b',' | b'\n') => return Ok(at),
            Some(b'\r') if matches!(file.get(at + 1), None | Some(b'\n')) => return Ok(at),
            Some(_) => return Err(at),
        }
    }
}

/// What is wrong with a row of more bytes than it may have.
pub fn too_long(row_max: usize) -> String {
    format!("a row must have at most {row_max} bytes")
}

/// The fields of a record.
pub fn cells(record: &[u8]) -> Result<Vec<String>, String> {
    if std::str::from_utf8(record).is_err() {
        return Err("must be UTF-8".to_owned());
    }
    // A carriage return alone ends no record, though the reader would have it so.
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(csv::Terminator::Any(b'\n'))
        .buffer_capacity(record.len() + 1)
        .from_reader(record);
    let mut read = csv::StringRecord::new();
    reader
        .read_record(&mut read)
        .map_err(|_| "is not valid CSV".to_owned())?;
    Ok(read.iter().map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_broken_quotes_is_given_up_in_time() {
        // Each line leaves a quote open that the next one closes and opens again, to the end.
        let file = "a\",\"\n".repeat(100_000);
        let records: Vec<_> = Records::new(file.as_bytes(), 1000).collect();
        let last = records.last().unwrap().as_ref().unwrap_err();
        assert!(
            last.starts_with("the quotes are broken in so many"),
            "{last}"
        );
        assert!(records.len() < 1000, "{}", records.len());
    }

    #[test]
    fn a_carriage_return_loses_nothing() {
        assert_eq!(cells(b"a,x\ry\r\n").unwrap(), ["a", "x\ry"]);
        assert_eq!(cells(b"a,\"x\r\n\"\"y\"\n").unwrap(), ["a", "x\r\n\"y"]);
        assert_eq!(cells(b"a,\"b\"\r\n").unwrap(), ["a", "b"]);
        assert_eq!(cells(b",").unwrap(), ["", ""]);
    }
}
