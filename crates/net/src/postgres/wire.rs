//! Parses the messages of a server, within limits.

use bytes::BytesMut;
use postgres_protocol::message::backend::{Header, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::failure::Failure;
use crate::outgoing::dial::Stream;

/// Maximum size of the response to one request. An insertion is answered with a few bytes, and an error with
/// a few kilobytes and a value of the row.
const ANSWER_MAX_BYTES: usize = 256 * 1024;
/// Number of bytes read at a time.
const READ_BYTES: usize = 4096;

/// A connection that is read message by message.
pub struct Wire {
    stream: Box<dyn Stream>,
    incoming: BytesMut,
    /// Bytes received since the last request.
    heard: usize,
}

impl Wire {
    /// Wraps a new connection.
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
            heard: 0,
        }
    }

    /// Sends messages, and resets the limit of the response.
    pub async fn send(&mut self, messages: &[u8]) -> Result<(), Failure> {
        self.listen_anew();
        let sent = async {
            self.stream.write_all(messages).await?;
            self.stream.flush().await
        };
        sent.await.map_err(broke)
    }

    /// Resets the limit of the response, for the next request.
    pub fn listen_anew(&mut self) {
        self.heard = 0;
    }

    /// Reads the next message, except those that a server may send at any time. Cancel-safe.
    pub async fn next(&mut self) -> Result<Message, Failure> {
        loop {
            while let Some(message) = self.read()? {
                let is_aside = matches!(
                    message,
                    Message::NoticeResponse(_)
                        | Message::NotificationResponse(_)
                        | Message::ParameterStatus(_)
                );
                if !is_aside {
                    return Ok(message);
                }
            }
            self.incoming.reserve(READ_BYTES);
            let read = self.stream.read_buf(&mut self.incoming).await;
            match read.map_err(broke)? {
                0 => return Err(Failure::wait("the server closed the connection")),
                read => self.heard += read,
            }
            if self.heard > ANSWER_MAX_BYTES {
                return Err(too_large());
            }
        }
    }

    /// Takes a message that has arrived completely.
    fn read(&mut self) -> Result<Option<Message>, Failure> {
        let header = Header::parse(&self.incoming).map_err(|_| Failure::unexpected())?;
        let Some(header) = header else {
            return Ok(None);
        };
        // The length is chosen by the server, so no memory is reserved for it.
        let length = usize::try_from(header.len()).unwrap_or(usize::MAX);
        if length > ANSWER_MAX_BYTES {
            return Err(too_large());
        }
        if self.incoming.len() <= length {
            return Ok(None);
        }
        Message::parse(&mut self.incoming).map_err(|_| Failure::unexpected())
    }

    /// Closes the connection.
    pub async fn close(&mut self) {
        // Nobody is left to report a failure to.
        let _ = self.stream.shutdown().await;
    }
}

fn too_large() -> Failure {
    Failure::wait(format!(
        "the answer is too large: more than {ANSWER_MAX_BYTES} bytes"
    ))
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over a result")]
fn broke(error: std::io::Error) -> Failure {
    Failure::wait(format!("the connection broke: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &[u8] = b"Z\0\0\0\x05I";
    const NOTICE: &[u8] = b"N\0\0\0\x05\0";

    fn pair() -> (Wire, tokio::io::DuplexStream) {
        let (near, far) = tokio::io::duplex(64);
        (Wire::new(Box::new(near)), far)
    }

    #[tokio::test]
    async fn what_is_said_aside_is_passed_over_within_the_bound() {
        let (mut wire, mut far) = pair();
        far.write_all(&[NOTICE, NOTICE, READY].concat())
            .await
            .unwrap();
        assert!(matches!(wire.next().await, Ok(Message::ReadyForQuery(_))));
        let endless = tokio::spawn(async move { while far.write_all(NOTICE).await.is_ok() {} });
        let error = wire.next().await.err().unwrap();
        assert!(error.words.contains("too large"), "{error:?}");
        drop(wire);
        endless.await.unwrap();
    }

    #[tokio::test]
    async fn a_length_is_not_believed() {
        for (bytes, words) in [
            (&b"N\x5d\xc0\0\0"[..], "too large"),
            (&b"N\0\0\0\x03"[..], "cannot be read"),
            (&b"?\0\0\0\x04"[..], "cannot be read"),
            (&b"Z\0\0\0\x04"[..], "cannot be read"),
        ] {
            let (mut wire, mut far) = pair();
            far.write_all(bytes).await.unwrap();
            let error = wire.next().await.err().unwrap();
            assert!(error.words.contains(words), "{bytes:?}: {error:?}");
        }
    }
}
