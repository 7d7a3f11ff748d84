//! One file at a server: its bytes are sent in blocks of which several are under way.

use futures_util::stream::{FuturesUnordered, StreamExt};
use russh_sftp::{
    client::{RawSftpSession, error::Error},
    protocol::{FileAttributes, OpenFlags, StatusCode},
};

use super::{
    login::{self, Link},
    settings::{SeenKey, Settings},
};
use crate::outgoing::Guard;

/// Size of a block.
const BLOCK: usize = 30_000;
/// Number of blocks that are under way at a time.
const AT_ONCE: usize = 16;
/// Maximum length of the server's name for an open file, by the protocol. Each block repeats it.
const HANDLE_MAX_BYTES: usize = 256;

/// A session with a server.
pub struct Session {
    link: Link,
    writing: Option<Writing>,
}

/// A file that is being written.
struct Writing {
    handle: String,
    path: String,
    size: u64,
}

impl Session {
    /// Connects to a server and logs in. `seen` gets the fingerprint of its key. The errors of this and the other
    /// functions are texts for people.
    pub async fn open(guard: &Guard, settings: &Settings, seen: &SeenKey) -> Result<Self, String> {
        Ok(Self {
            link: login::open(guard, settings, seen).await?,
            writing: None,
        })
    }

    /// Returns the size of a file, if it exists.
    pub async fn find(&self, path: &str) -> Result<Option<u64>, String> {
        match self.link.sftp.lstat(path).await {
            Ok(found) => Ok(Some(found.attrs.size.unwrap_or_default())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(in_words(&error)),
        }
    }

    /// Begins a file, in the place of one that is there.
    pub async fn create(&mut self, path: &str) -> Result<(), String> {
        let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::WRITE;
        let opened = self.link.sftp.open(path, flags, FileAttributes::empty());
        let handle = opened.await.map_err(|error| match is_missing(&error) {
            true => "the folder does not exist".to_owned(),
            false => in_words(&error),
        })?;
        let handle = handle.handle;
        if handle.len() > HANDLE_MAX_BYTES {
            let text = "the server's handle of the file is longer than the protocol allows";
            return Err(text.to_owned());
        }
        self.writing = Some(Writing {
            handle,
            path: path.to_owned(),
            size: 0,
        });
        Ok(())
    }

    /// Adds bytes to the file; returns when the server has acknowledged them.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let writing = self.writing.as_mut().ok_or_else(not_begun)?;
        let sftp = &self.link.sftp;
        let mut blocks = bytes.chunks(BLOCK);
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < AT_ONCE
                && let Some(block) = blocks.next()
            {
                let (handle, offset) = (writing.handle.clone(), writing.size);
                under_way.push(sftp.write(handle, offset, block.to_vec()));
                writing.size += block.len() as u64;
            }
            match under_way.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(refusal_to_write(&error)),
                None => return Ok(()),
            }
        }
    }

    /// Closes the file; returns when the server has all of its bytes.
    pub async fn close(&mut self) -> Result<(), String> {
        let Writing { handle, path, size } = self.writing.take().ok_or_else(not_begun)?;
        let sftp = &self.link.sftp;
        if self.link.has_fsync {
            let stored = sftp.fsync(handle.clone()).await;
            stored.map_err(|error| refusal_to_write(&error))?;
        }
        let closed = sftp.close(handle).await;
        closed.map_err(|error| refusal_to_write(&error))?;
        match self.find(&path).await? {
            Some(found) if found == size => Ok(()),
            Some(found) => Err(format!("the server has {found} of {size} bytes")),
            None => Err("the server has lost the file".to_owned()),
        }
    }

    /// Gives a file another name, which no file has.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), String> {
        let renamed = self.link.sftp.rename(from, to).await;
        renamed.map(drop).map_err(|error| match &error {
            Error::Status(status) if status.status_code == StatusCode::Failure => format!(
                "the server does not rename it ({}); there may be a file of this name",
                words_of(&status.error_message)
            ),
            error => in_words(error),
        })
    }

    /// Removes a file, if it exists.
    pub async fn remove(&self, path: &str) -> Result<(), String> {
        remove(&self.link.sftp, path).await
    }

    /// Closes the file that is being written and removes it.
    pub async fn abandon(&mut self) -> Result<(), String> {
        let Some(Writing { handle, path, .. }) = self.writing.take() else {
            return Ok(());
        };
        let _ = self.link.sftp.close(handle).await;
        remove(&self.link.sftp, &path).await
    }
}

async fn remove(sftp: &RawSftpSession, path: &str) -> Result<(), String> {
    match sftp.remove(path).await {
        Err(error) if !is_missing(&error) => Err(in_words(&error)),
        _ => Ok(()),
    }
}

fn not_begun() -> String {
    "the file has not been begun".to_owned()
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Status(status) if status.status_code == StatusCode::NoSuchFile)
}

fn refusal_to_write(error: &Error) -> String {
    match error {
        Error::Status(status) if status.status_code == StatusCode::Failure => format!(
            "the server takes no more bytes ({}); its disk or the user's share of it may be full",
            words_of(&status.error_message)
        ),
        error => in_words(error),
    }
}

fn in_words(error: &Error) -> String {
    match error {
        Error::Status(status) if status.status_code == StatusCode::Ok => another_answer(),
        Error::Status(status) => {
            format!(
                "{}: {}",
                status.status_code,
                words_of(&status.error_message)
            )
        }
        Error::Timeout => "no answer in time".to_owned(),
        Error::UnexpectedPacket => another_answer(),
        // The library has dropped the request, for whichever of these reasons.
        Error::UnexpectedBehavior(_) | Error::IO(_) => {
            "the server has closed the session, or sent what is not SFTP".to_owned()
        }
        Error::Limited(text) => text.clone(),
    }
}

fn another_answer() -> String {
    "the server has answered another question than the one that it was asked".to_owned()
}

/// Returns a text of the server on one line. Packets are short, so it is not long.
fn words_of(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
