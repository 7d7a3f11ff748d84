//! Detection of a text file's encoding: named by the client, by a byte order mark, or evident from its bytes.
//!
//! An ambiguous encoding is refused, because a wrong guess would create devices with wrong names.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::error::{Error, Reason};

/// Advice for text in an unsupported encoding.
pub const SAVE_AS_UTF8: &str = "save the file as \"CSV UTF-8\"";
/// First bytes of common binary formats, and their names.
const BINARY: [(&[u8], &str); 4] = [
    (b"PK\x03\x04", "an Excel or OpenDocument workbook"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"%PDF", "a PDF document"),
];
/// Bytes without a character in Windows-1252.
const UNDEFINED: [u8; 5] = [0x81, 0x8d, 0x8f, 0x90, 0x9d];

/// A decoded text file.
pub struct Decoded<'a> {
    /// Text in UTF-8. A file that claims to be UTF-8 may contain invalid sequences; the CSV reader reports them
    /// by row.
    pub bytes: Cow<'a, [u8]>,
    /// Name of the encoding, in lower case.
    pub encoding: String,
}

/// Decodes a file. `told` is the encoding that the client names; a byte order mark takes precedence, as in
/// browsers.
pub fn decode<'a>(file: &'a [u8], told: Option<&'static Encoding>) -> Result<Decoded<'a>, Error> {
    refuse_binary(file)?;
    let (encoding, text) = match Encoding::for_bom(file) {
        Some((encoding, length)) => (encoding, &file[length..]),
        None => match told {
            Some(encoding) => (encoding, file),
            None => (detect(file)?, file),
        },
    };
    let name = encoding.name().to_ascii_lowercase();
    let bytes = if encoding == UTF_8 {
        Cow::Borrowed(text)
    } else {
        let decoded = decode_strictly(encoding, text).map_err(|line| {
            let rule = format!("line {line} is not valid {name}: {SAVE_AS_UTF8}");
            Error::of_field(Reason::Malformed, "body", rule)
        })?;
        Cow::Owned(decoded.into_bytes())
    };
    Ok(Decoded {
        bytes,
        encoding: name,
    })
}

fn refuse_binary(file: &[u8]) -> Result<(), Error> {
    let Some((_, what)) = BINARY.iter().find(|(start, _)| file.starts_with(start)) else {
        return Ok(());
    };
    let rule = format!("must be a text file, but is {what}: {SAVE_AS_UTF8} and send that");
    Err(Error::of_field(Reason::Malformed, "body", rule))
}

/// Detects the encoding of a file without a byte order mark.
fn detect(file: &[u8]) -> Result<&'static Encoding, Error> {
    match file {
        // The first character of a header line or of JSON is ASCII.
        [first, 0, ..] if *first != 0 => return Ok(UTF_16LE),
        [0, second, ..] if *second != 0 => return Ok(UTF_16BE),
        _ => {}
    }
    let is_utf8_somewhere = file
        .utf8_chunks()
        .any(|chunk| chunk.valid().bytes().any(|byte| !byte.is_ascii()));
    // An invalid row of a UTF-8 file does not make the other rows invalid.
    if is_utf8_somewhere || file.is_ascii() {
        return Ok(UTF_8);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(file, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    if guess == WINDOWS_1252 && !file.iter().any(|byte| UNDEFINED.contains(byte)) {
        return Ok(WINDOWS_1252);
    }
    let ascii = Encoding::ascii_valid_up_to(file);
    let line = 1 + file[..ascii].iter().filter(|byte| **byte == b'\n').count();
    let rule = format!(
        "line {line} is not UTF-8: {SAVE_AS_UTF8}, or name the encoding in the header Content-Type, \
         such as text/csv; charset=windows-1252"
    );
    Err(Error::of_field(Reason::Malformed, "body", rule))
}

/// Returns the text, or the number of the broken line, counted from 1.
fn decode_strictly(encoding: &'static Encoding, file: &[u8]) -> Result<String, usize> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let size = decoder.max_utf8_buffer_length_without_replacement(file.len());
    let mut text = String::with_capacity(size.unwrap_or(file.len()));
    let mut read = 0;
    loop {
        let rest = &file[read..];
        let (result, more) = decoder.decode_to_string_without_replacement(rest, &mut text, true);
        read += more;
        match result {
            DecoderResult::InputEmpty => return Ok(text),
            DecoderResult::OutputFull => text.reserve(rest.len().max(64)),
            DecoderResult::Malformed(..) => {
                return Err(1 + text.bytes().filter(|byte| *byte == b'\n').count());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8], told: Option<&'static Encoding>) -> Result<(String, String), String> {
        let decoded = decode(file, told).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&decoded.bytes).into_owned();
        Ok((decoded.encoding, text))
    }

    fn utf_16(text: &str, is_little: bool) -> Vec<u8> {
        let units = text.encode_utf16();
        units
            .flat_map(|unit| match is_little {
                true => unit.to_le_bytes(),
                false => unit.to_be_bytes(),
            })
            .collect()
    }

    #[test]
    fn what_is_plain_is_read() {
        let text = "id,name\ns1,Küche – 22 °C\n";
        let (windows, ..) = WINDOWS_1252.encode(text);
        for (file, encoding) in [
            (text.as_bytes().to_vec(), "utf-8"),
            ([b"\xef\xbb\xbf", text.as_bytes()].concat(), "utf-8"),
            (utf_16(&format!("\u{feff}{text}"), true), "utf-16le"),
            (utf_16(&format!("\u{feff}{text}"), false), "utf-16be"),
            (utf_16(text, true), "utf-16le"),
            (utf_16(text, false), "utf-16be"),
            (windows.into_owned(), "windows-1252"),
        ] {
            let expected = (encoding.to_owned(), text.to_owned());
            assert_eq!(read(&file, None), Ok(expected), "{encoding}");
        }
        let (told, ..) = encoding_rs::SHIFT_JIS.encode("id,name\ns1,台所\n");
        let expected = ("shift_jis".to_owned(), "id,name\ns1,台所\n".to_owned());
        assert_eq!(read(&told, Some(encoding_rs::SHIFT_JIS)), Ok(expected));
        assert_eq!(read(b"", None), Ok(("utf-8".to_owned(), String::new())));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (encoding, name) in [
            (encoding_rs::WINDOWS_1251, "Кухня"),
            (encoding_rs::WINDOWS_1250, "Łódź"),
            (encoding_rs::SHIFT_JIS, "会議室"),
            (encoding_rs::GBK, "会议室"),
        ] {
            let text = format!("id,name\ns1,a\ns2,{name}\n");
            let error = read(&encoding.encode(&text).0, None).unwrap_err();
            assert!(
                error.starts_with("body: line 3 is not UTF-8: save"),
                "{error}"
            );
        }
        let mut broken = utf_16("\u{feff}id\na\n", true);
        broken.extend([0x00, 0xd8, b'b', 0]);
        let error = read(&broken, None).unwrap_err();
        assert!(
            error.starts_with("body: line 3 is not valid utf-16le"),
            "{error}"
        );
        // In a file that is UTF-8 elsewhere, only the row is broken.
        let mixed = b"id,name\na,K\xc3\xbcche\nb,K\xfcche\n";
        assert_eq!(read(mixed, None).unwrap().0, "utf-8");
        // The same applies if the client names UTF-8.
        assert_eq!(read(b"id\n\xfc\n", Some(UTF_8)).unwrap().0, "utf-8");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for start in [
            &b"PK\x03\x04\x14"[..],
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0",
        ] {
            let error = read(start, None).unwrap_err();
            assert!(error.contains("workbook: save the file as"), "{error}");
        }
    }
}
