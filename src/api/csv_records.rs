//! A CSV file, record by record: the quotes of one record that are broken must not take those behind
//! it along, which the reader of the `csv` crate, made for whole files, would let them.

const UNCLOSED: &str = "a quote is opened that is not closed before the next comma or line break; \
reading goes on with the next line";

/// The bytes of the next record. One whose quotes are broken ends with its first line, so that the
/// rows behind it are not lost.
pub fn next_record<'a>(rest: &mut &'a [u8], row_max: usize) -> Option<Result<&'a [u8], String>> {
    let file = *rest;
    if file.is_empty() {
        return None;
    }
    let end_of_line = |from: usize| {
        let line = file[from..].iter().position(|byte| *byte == b'\n');
        line.map_or(file.len(), |length| from + length + 1)
    };
    let mut at = 0;
    let mut failure = None;
    let end = loop {
        // At the start of a field.
        if file.get(at) == Some(&b'"') {
            match after_quoted(&file[at + 1..], row_max) {
                Some(length) => at += 1 + length,
                None => {
                    failure = Some(UNCLOSED.to_owned());
                    break end_of_line(0);
                }
            }
        } else {
            let field = file[at..]
                .iter()
                .position(|byte| matches!(byte, b',' | b'\n'));
            at += field.unwrap_or(file.len() - at);
        }
        match file.get(at) {
            Some(b',') => at += 1,
            Some(b'\r') if file.get(at + 1) == Some(&b'\n') => break at + 2,
            Some(b'\n') => break at + 1,
            Some(_) => at += 1,
            None => break at,
        }
    };
    *rest = &file[end..];
    if failure.is_none() && end > row_max {
        failure = Some(too_long(row_max));
    }
    Some(match failure {
        Some(rule) => Err(rule),
        None => Ok(&file[..end]),
    })
}

/// How long a quoted field is with its closing quote, counted from behind the opening one; `None`
/// where it has no end.
fn after_quoted(bytes: &[u8], max: usize) -> Option<usize> {
    let mut at = 0;
    loop {
        let window = bytes.get(at..)?;
        let quote = window.iter().take(max).position(|byte| *byte == b'"')?;
        at += quote + 1;
        match bytes.get(at) {
            Some(b'"') => at += 1,
            None | Some(b',' | b'\n') => return Some(at),
            Some(b'\r') if matches!(bytes.get(at + 1), None | Some(b'\n')) => return Some(at),
            Some(_) => return None,
        }
        if at > max {
            return None;
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
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(record.len() + 1)
        .from_reader(record);
    let mut read = csv::StringRecord::new();
    reader
        .read_record(&mut read)
        .map_err(|_| "is not valid CSV".to_owned())?;
    Ok(read.iter().map(ToOwned::to_owned).collect())
}
