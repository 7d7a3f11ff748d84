//! A stream that ends with its owner.
//!
//! The libraries of SSH and SFTP run tasks of their own. A server that never opens its window, or never stops sending,
//! would keep them, and the bytes that they hold, after the session has been given up.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Stream whose reads and writes fail once a token is cancelled.
pub struct Tied<S> {
    stream: S,
    // One for each direction, because these may be different tasks.
    read_end: Pin<Box<WaitForCancellationFutureOwned>>,
    write_end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Tied<S> {
    /// Ties a stream to a token.
    pub fn new(stream: S, token: &CancellationToken) -> Self {
        let end = || Box::pin(token.clone().cancelled_owned());
        Self {
            stream,
            read_end: end(),
            write_end: end(),
        }
    }
}

fn ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the session has been given up",
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Tied<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(ended()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tied<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.write_end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(ended()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(ended()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(ended()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn both_directions_end_with_the_token_from_tasks_of_their_own() {
        let (near, mut far) = tokio::io::duplex(8);
        let token = CancellationToken::new();
        let (mut read, mut write) = tokio::io::split(Tied::new(near, &token));
        write.write_all(b"ask").await.unwrap();
        far.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        read.read_exact(&mut answer).await.unwrap();
        // Nobody reads on the other side, so the writer waits for room, and the reader for bytes.
        let reading = tokio::spawn(async move { read.read_u8().await });
        let writing = tokio::spawn(async move { write.write_all(&[0; 100]).await });
        tokio::task::yield_now().await;
        token.cancel();
        let kind = |error: io::Error| error.kind();
        let aborted = io::ErrorKind::ConnectionAborted;
        assert_eq!(reading.await.unwrap().map_err(kind), Err(aborted));
        assert_eq!(writing.await.unwrap().map_err(kind), Err(aborted));
    }
}
