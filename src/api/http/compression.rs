//! Compression of responses that are produced piece by piece.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use poem::http::{HeaderMap, header};

use super::answer::Pieces;
use crate::error::Error;

/// Pieces in gzip. The checksum at its end follows the last piece only, so that a truncated file is never complete.
pub struct Gzipped<P> {
    pieces: P,
    /// None after the end.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<P> Gzipped<P> {
    /// Compresses the pieces, in little time rather than to the smallest size.
    pub fn new(pieces: P) -> Self {
        Self {
            pieces,
            encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())),
        }
    }
}

impl<P: Pieces> Pieces for Gzipped<P> {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(None);
        };
        if let Some(piece) = self.pieces.next().await? {
            encoder.write_all(&piece).map_err(Error::internal)?;
            return Ok(Some(std::mem::take(encoder.get_mut())));
        }
        let last = self.encoder.take().map(GzEncoder::finish).transpose();
        last.map_err(Error::internal)
    }
}

/// Returns true if the client accepts gzip (RFC 9110, 12.5.3). A coding that the header does not name is not
/// accepted.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|coding| coding.split_once(';').unwrap_or((coding, "")))
        .find(|(coding, _)| coding.trim().eq_ignore_ascii_case("gzip"))
        .is_some_and(|(_, weight)| !is_zero(weight))
}

/// Returns true for `q=0`, in any of the forms that it can be written in.
fn is_zero(weight: &str) -> bool {
    let Some((name, value)) = weight.split_once('=') else {
        return false;
    };
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f64>() == Ok(0.0)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// Pieces of text; the last one is an error if it is `None`.
    struct Texts(Vec<Option<&'static str>>);

    impl Pieces for Texts {
        async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
            match self.0.is_empty() {
                true => Ok(None),
                false => match self.0.remove(0) {
                    Some(text) => Ok(Some(text.into())),
                    None => Err(Error::internal("a fault")),
                },
            }
        }
    }

    async fn compressed(texts: Vec<Option<&'static str>>) -> (Vec<u8>, bool) {
        let mut pieces = Gzipped::new(Texts(texts));
        let mut file = Vec::new();
        loop {
            match pieces.next().await {
                Ok(Some(piece)) => file.extend(piece),
                Ok(None) => return (file, true),
                Err(_) => return (file, false),
            }
        }
    }

    fn read(file: &[u8]) -> std::io::Result<String> {
        let mut text = String::new();
        GzDecoder::new(file).read_to_string(&mut text)?;
        Ok(text)
    }

    #[tokio::test]
    async fn only_a_file_that_ends_is_complete() {
        let (file, is_whole) = compressed(vec![Some("a,"), Some(""), Some("b")]).await;
        assert!(is_whole);
        assert_eq!(read(&file).unwrap(), "a,b");
        let (file, is_whole) = compressed(vec![]).await;
        assert!(is_whole);
        assert_eq!(read(&file).unwrap(), "");
        let (file, is_whole) = compressed(vec![Some("a,"), None]).await;
        assert!(!is_whole);
        assert!(read(&file).is_err());
    }
}
