//! Writes the file of a backup: under a temporary name until it is complete and on disk.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{
    header::{Header, MAGIC},
    parts,
};
use crate::{private, store::transfer::Summary};

/// Faster levels save little time, because reading the database takes longer.
const LEVEL: Compression = Compression::new(3);

/// A backup that is being written.
pub struct Writer {
    file: NamedTempFile,
    stream: GzEncoder<Digesting<BufWriter<File>>>,
}

impl Writer {
    /// Creates the temporary file beside the final one, and writes the header.
    pub fn create(path: &Path, header: &Header) -> io::Result<Self> {
        let file = private::partial(path)?;
        let mut plain = Digesting::new(BufWriter::with_capacity(1 << 18, file.reopen()?));
        plain.write_all(MAGIC.as_bytes())?;
        serde_json::to_writer(&mut plain, header)?;
        plain.write_all(b"\n")?;
        let stream = GzEncoder::new(plain, LEVEL);
        Ok(Self { file, stream })
    }

    /// Writes a row.
    pub fn row(&mut self, row: &[u8]) -> io::Result<()> {
        self.frame(parts::ROW, row)
    }

    /// Writes the end of a table.
    pub fn end_of_table(&mut self, summary: &Summary) -> io::Result<()> {
        self.stream.write_all(&[parts::END_OF_TABLE])?;
        self.stream.write_all(&summary.rows.to_le_bytes())?;
        self.stream.write_all(&summary.digest)
    }

    /// Writes the last numbers that the database has given.
    pub fn numbers(&mut self, numbers: &[(String, i64)]) -> io::Result<()> {
        self.frame(parts::NUMBERS, &serde_json::to_vec(numbers)?)
    }

    /// Writes the keys of sealed secrets.
    pub fn keys(&mut self, keys: &str) -> io::Result<()> {
        self.frame(parts::KEYS, keys.as_bytes())
    }

    /// Completes the file, waits until it is on disk, and gives it its name. Returns its size.
    pub fn finish(mut self, path: &Path, replaces: bool) -> io::Result<u64> {
        self.stream.write_all(&[parts::END])?;
        let (mut plain, digest) = self.stream.finish()?.end();
        plain.write_all(&digest)?;
        let file = plain.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let size = file.metadata()?.len();
        private::settle(self.file, path, replaces)?;
        Ok(size)
    }

    fn frame(&mut self, tag: u8, content: &[u8]) -> io::Result<()> {
        let length = u32::try_from(content.len()).ok();
        let length = length.filter(|length| *length <= parts::BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("a row is too large for a backup"))?;
        self.stream.write_all(&[tag])?;
        self.stream.write_all(&length.to_le_bytes())?;
        self.stream.write_all(content)
    }
}

/// Computes the digest of what passes.
struct Digesting<W> {
    inner: W,
    digest: Sha256,
}

impl<W> Digesting<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            digest: Sha256::new(),
        }
    }

    fn end(self) -> (W, [u8; 32]) {
        (self.inner, self.digest.finalize().into())
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
