//! Files that are produced piece by piece, because they are too large to be held in memory.

use std::{future::Future, io::Write};

use flate2::{Compression, write::GzEncoder};

use crate::error::Error;

/// Source of a file that is too large to be held in memory.
pub trait Pieces: Send + 'static {
    /// Returns the next piece; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, Error>> + Send;
}

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
