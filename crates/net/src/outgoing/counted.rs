//! A stream that limits the bytes that the peer may send in response to each request.
//!
//! Clients of a protocol read until they have a complete response. Without a limit, a server that keeps
//! sending, by interim responses or by a message without end, would occupy the client, and its memory, until
//! the timeout.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Counts the bytes received since the last one was sent.
pub struct Counted<S> {
    stream: S,
    most: usize,
    read: usize,
}

impl<S> Counted<S> {
    /// Limits the bytes that the peer may send after each request.
    pub fn new(stream: S, most: usize) -> Self {
        Self {
            stream,
            most,
            read: 0,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.read += buffer.filled().len() - before;
        if self.read > self.most {
            let words = format!("the answer is too large: more than {} bytes", self.most);
            return Poll::Ready(Err(io::Error::other(words)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Counted<S> {
    fn sent(&mut self, sent: &Poll<io::Result<usize>>) {
        if matches!(sent, Poll::Ready(Ok(_))) {
            self.read = 0;
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.sent(&sent);
        sent
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.sent(&sent);
        sent
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn each_request_buys_an_answer_of_its_size() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Counted::new(near, 8);
        let mut answer = [0; 8];
        for _ in 0..2 {
            near.write_all(b"ask").await.unwrap();
            far.write_all(b"12345678").await.unwrap();
            near.read_exact(&mut answer).await.unwrap();
        }
        far.write_all(b"9").await.unwrap();
        let error = near.read_u8().await.unwrap_err().to_string();
        assert!(error.contains("too large"), "{error}");
    }
}
