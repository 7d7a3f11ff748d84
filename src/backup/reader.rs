//! Reads the file of a backup.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};

use super::{
    header::{Header, MAGIC},
    parts,
};
use crate::store::transfer::{Row, Summary, read_row};

/// Maximum length of the header.
const HEADER_MAX: u64 = 1 << 20;
/// Length of the digest at the end.
const DIGEST: u64 = 32;

/// A backup that is being read.
pub struct Reader {
    header: Header,
    stream: GzDecoder<io::Take<BufReader<File>>>,
}

/// Part of a backup.
pub enum Part {
    /// A row, and its length in the backup.
    Row(Row, usize),
    /// The end of a table.
    EndOfTable(Summary),
    /// The last numbers that the database has given.
    Numbers(Vec<(String, i64)>),
    /// The keys of sealed secrets.
    Keys(String),
    /// The end.
    End,
}

impl Reader {
    /// Opens a backup. Fails if the file is not one, or is not complete and unchanged.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut magic = [0; MAGIC.len()];
        let read = file.read_exact(&mut magic);
        if read.is_err() || !magic.starts_with(&MAGIC.as_bytes()[..MAGIC.len() - 2]) {
            return Err(invalid("it is not a backup of thingshub"));
        }
        if magic != MAGIC.as_bytes() {
            return Err(invalid("it has the format of a newer version of thingshub"));
        }
        let content = length.saturating_sub(DIGEST);
        check(&mut file, content)?;
        let start = MAGIC.len() as u64;
        file.seek(SeekFrom::Start(start))?;
        let mut rest = BufReader::with_capacity(1 << 18, file).take(content - start);
        let mut line = Vec::new();
        (&mut rest).take(HEADER_MAX).read_until(b'\n', &mut line)?;
        let header = serde_json::from_slice(&line)
            .map_err(|error| invalid(&format!("its header cannot be read: {error}")))?;
        let stream = GzDecoder::new(rest);
        Ok(Self { header, stream })
    }

    /// Returns the header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Reads the next part.
    pub fn next(&mut self) -> io::Result<Part> {
        let [tag] = self.bytes()?;
        Ok(match tag {
            parts::ROW => {
                let content = self.content()?;
                let row = read_row(&content).ok_or_else(|| invalid("a row cannot be read"))?;
                Part::Row(row, content.len())
            }
            parts::END_OF_TABLE => Part::EndOfTable(Summary {
                rows: u64::from_le_bytes(self.bytes()?),
                digest: self.bytes()?,
            }),
            parts::NUMBERS => Part::Numbers(serde_json::from_slice(&self.content()?)?),
            parts::KEYS => {
                let keys = String::from_utf8(self.content()?);
                Part::Keys(keys.map_err(|_| invalid("its keys cannot be read"))?)
            }
            parts::END => Part::End,
            _ => return Err(invalid("it has an unknown part")),
        })
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn content(&mut self) -> io::Result<Vec<u8>> {
        let length = u32::from_le_bytes(self.bytes()?);
        if length > parts::BYTES_MAX {
            return Err(invalid("a row is too large"));
        }
        let mut content = Vec::new();
        (&mut self.stream)
            .take(length.into())
            .read_to_end(&mut content)?;
        match content.len() == length as usize {
            true => Ok(content),
            false => Err(invalid("it ends within a row")),
        }
    }
}

/// Compares the digest at the end of the file with its content.
fn check(file: &mut File, content: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut left = content;
    while left > 0 {
        let wanted = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        digest.update(&buffer[..read]);
        left -= read as u64;
    }
    let mut stored = [0; DIGEST as usize];
    file.read_exact(&mut stored)?;
    match <[u8; 32]>::from(digest.finalize()) == stored {
        true => Ok(()),
        false => Err(invalid(
            "it is damaged or incomplete: its checksum is wrong",
        )),
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
