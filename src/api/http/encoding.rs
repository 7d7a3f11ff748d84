//! Compressed request bodies: the size bound applies to the uncompressed body.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status, read::MultiGzDecoder};
use poem::{Request, http::header};

use crate::error::{Error, Reason};

const FIELD: &str = "header Content-Encoding";
/// Number of bytes that are uncompressed at a time.
const CHUNK: usize = 32 * 1024;

/// Compression of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// No compression.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// zlib (RFC 1950), or raw deflate (RFC 1951), which some clients send under the same name.
    Deflate,
}

impl Encoding {
    /// Returns the compression of a request's body. Refuses nested encodings, which would multiply the size to
    /// which a few bytes can grow.
    pub fn of(request: &Request) -> Result<Self, Error> {
        let mut encoding = Self::Identity;
        for value in request.headers().get_all(header::CONTENT_ENCODING) {
            let names = value.to_str().unwrap_or("?").split(',').map(str::trim);
            for name in names.filter(|name| !name.is_empty()) {
                let named = match name.to_ascii_lowercase().as_str() {
                    "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    _ => return Err(unsupported("must be gzip, deflate or identity")),
                };
                if encoding != Self::Identity {
                    return Err(unsupported("must name one encoding alone"));
                }
                encoding = named;
            }
        }
        Ok(encoding)
    }

    /// Returns the uncompressed body; fails as soon as it exceeds `max_bytes`.
    pub fn decode(self, body: Vec<u8>, max_bytes: usize) -> Result<Vec<u8>, Error> {
        match self {
            Self::Identity => Ok(body),
            Self::Gzip => gunzip(&body, max_bytes),
            Self::Deflate => inflate(&body, is_zlib(&body), max_bytes),
        }
    }
}

/// True if the body begins with a zlib header (RFC 1950). No raw deflate stream of JSON begins like one.
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => {
            method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0
        }
        _ => false,
    }
}

/// Uncompresses all members of a gzip file and verifies their checksums.
fn gunzip(body: &[u8], max_bytes: usize) -> Result<Vec<u8>, Error> {
    let mut read = Vec::new();
    let bound = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    let mut decoder = MultiGzDecoder::new(body).take(bound.saturating_add(1));
    decoder
        .read_to_end(&mut read)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => broken("gzip: it ends too early"),
            _ => broken("gzip"),
        })?;
    match read.len() > max_bytes {
        true => Err(too_large(max_bytes)),
        false => Ok(read),
    }
}

/// Uncompresses one stream, which must end where the body ends. The library's own readers accept a truncated
/// stream.
fn inflate(body: &[u8], has_header: bool, max_bytes: usize) -> Result<Vec<u8>, Error> {
    let mut stream = Decompress::new(has_header);
    let mut read = Vec::new();
    loop {
        let (at, length) = (stream.total_in(), read.len());
        read.reserve(CHUNK);
        let rest = usize::try_from(at).ok().and_then(|at| body.get(at..));
        let status = stream
            .decompress_vec(rest.unwrap_or_default(), &mut read, FlushDecompress::None)
            .map_err(|_| broken("deflate"))?;
        if read.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        if status == Status::StreamEnd {
            break;
        }
        if (stream.total_in(), read.len()) == (at, length) {
            return Err(broken("deflate: it ends too early"));
        }
    }
    match stream.total_in() == body.len() as u64 {
        true => Ok(read),
        false => Err(broken("deflate: more data follows its end")),
    }
}

fn broken(what: &str) -> Error {
    Error::of_field(Reason::Malformed, "body", format!("is not valid {what}"))
}

fn unsupported(rule: &str) -> Error {
    Error::of_field(Reason::UnsupportedMediaType, FIELD, rule)
}

fn too_large(max_bytes: usize) -> Error {
    let rule = format!("must have at most {max_bytes} bytes when it is uncompressed");
    Error::of_field(Reason::TooLarge, "body", rule)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(body: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn named(values: &[&str]) -> Result<Encoding, String> {
        let request = values.iter().fold(Request::builder(), |request, value| {
            request.header(header::CONTENT_ENCODING, *value)
        });
        Encoding::of(&request.finish()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_encoding_is_taken() {
        for (values, expected) in [
            (&[][..], Encoding::Identity),
            (&["identity"], Encoding::Identity),
            (&[""], Encoding::Identity),
            (&["GZIP"], Encoding::Gzip),
            (&["x-gzip"], Encoding::Gzip),
            (&["identity, deflate"], Encoding::Deflate),
        ] {
            assert_eq!(named(values), Ok(expected), "{values:?}");
        }
        for values in [
            &["gzip, gzip"][..],
            &["gzip", "deflate"],
            &["br"],
            &["zstd, gzip"],
            &["gzip;q=1"],
        ] {
            let error = named(values).unwrap_err();
            assert!(
                error.starts_with("header Content-Encoding: must "),
                "{error}"
            );
        }
    }

    #[test]
    fn what_would_grow_beyond_the_bound_is_refused() {
        let large = vec![b' '; 64 * 1024 * 1024];
        for (encoding, body) in [
            (Encoding::Gzip, gzip(&large)),
            (Encoding::Deflate, zlib(&large)),
            (Encoding::Deflate, deflate(&large)),
        ] {
            let error = encoding.decode(body, 1000).unwrap_err().to_string();
            assert_eq!(
                error,
                "body: must have at most 1000 bytes when it is uncompressed"
            );
        }
        let body = vec![b'x'; 1000];
        assert_eq!(Encoding::Gzip.decode(gzip(&body), 1000).unwrap(), body);
    }

    #[test]
    fn what_is_broken_is_refused() {
        let body = br#"{"device": "d", "payload": "beef"}"#;
        let whole = gzip(body);
        let mut wrong_sum = whole.clone();
        let at = wrong_sum.len() - 8;
        wrong_sum[at] ^= 1;
        for (encoding, broken) in [
            (Encoding::Gzip, body.to_vec()),
            (Encoding::Gzip, Vec::new()),
            (Encoding::Gzip, whole[..whole.len() - 9].to_vec()),
            (Encoding::Gzip, wrong_sum),
            (Encoding::Gzip, [whole.as_slice(), b"more"].concat()),
            (Encoding::Deflate, body.to_vec()),
            (Encoding::Deflate, Vec::new()),
            (Encoding::Deflate, zlib(body)[..20].to_vec()),
            (Encoding::Deflate, [zlib(body).as_slice(), b"more"].concat()),
            (
                Encoding::Deflate,
                [deflate(body).as_slice(), b"more"].concat(),
            ),
        ] {
            let error = encoding.decode(broken, 1000).unwrap_err().to_string();
            assert!(error.starts_with("body: is not valid "), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
            for (encoding, compressed) in [
                (Encoding::Gzip, gzip(&body)),
                (Encoding::Deflate, zlib(&body)),
            ] {
                let read = encoding.decode(compressed, 2000).map_err(|error| error.to_string());
                prop_assert_eq!(read, Ok(body.clone()));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            for encoding in [Encoding::Gzip, Encoding::Deflate] {
                let _ = encoding.decode(body.clone(), 1000);
            }
        }
    }
}
