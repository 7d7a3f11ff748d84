//! A client's connection: the socket, which a peer that takes nothing loses, TLS, and the place that it has.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use poem::http::uri::Scheme;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

use super::{activity::Activity, refusal};
use crate::shares;

/// The first byte of a TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// The name of HTTP/2 in ALPN.
const HTTP2: &[u8] = b"h2";

/// A connection's place; free again when it is dropped.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    /// None for a trusted proxy, which speaks for many.
    _share: Option<shares::Place<IpAddr>>,
}

impl Place {
    /// A place among all connections, and one in the share of its address.
    pub fn new(permit: OwnedSemaphorePermit, share: Option<shares::Place<IpAddr>>) -> Self {
        Self {
            _permit: permit,
            _share: share,
        }
    }
}

/// A connection whose scheme is known.
pub struct Connection {
    stream: Stream,
    /// The rest of an answer that is written in the place of the HTTP library's own.
    refusal: Option<Bytes>,
    activity: Arc<Activity>,
    _place: Place,
}

type Stream = Either<Box<TlsStream<Socket>>, Socket>;

impl Connection {
    /// Finds out the scheme, and shakes hands. The peer loses the connection when it takes nothing for `patience`.
    pub async fn open(
        stream: TcpStream,
        tls: &TlsAcceptor,
        patience: Duration,
        activity: &Arc<Activity>,
        place: Place,
    ) -> io::Result<(Self, Scheme)> {
        stream.set_nodelay(true)?;
        // A peer that is gone, or keeps its window closed, also while there is room in the kernel.
        let patience_ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        let _ = setsockopt(&stream, TcpUserTimeout, &patience_ms);
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let socket = Socket {
            stream,
            patience,
            stalled: None,
            activity: activity.clone(),
        };
        let (stream, scheme) = if first[0] == TLS_HANDSHAKE {
            let stream = tls.accept(socket).await?;
            if stream.get_ref().1.alpn_protocol() == Some(HTTP2) {
                activity.note_http2();
            }
            (Either::Left(Box::new(stream)), Scheme::HTTPS)
        } else {
            (Either::Right(socket), Scheme::HTTP)
        };
        let connection = Self {
            stream,
            refusal: None,
            activity: activity.clone(),
            _place: place,
        };
        Ok((connection, scheme))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.note_read();
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let connection = &mut *self;
        if connection.refusal.is_none() {
            connection.refusal = refusal::instead_of(buf);
        }
        let Some(refusal) = &mut connection.refusal else {
            return Pin::new(&mut connection.stream).poll_write(cx, buf);
        };
        while !refusal.is_empty() {
            let written = ready!(Pin::new(&mut connection.stream).poll_write(cx, refusal))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            refusal.advance(written);
        }
        connection.refusal = None;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A socket whose writes fail when the peer takes nothing for a while. It lies below TLS, which takes bytes
/// that the peer has not taken.
pub struct Socket {
    stream: TcpStream,
    patience: Duration,
    /// Runs while the peer has to take something.
    stalled: Option<Pin<Box<Sleep>>>,
    activity: Arc<Activity>,
}

impl Socket {
    /// The outcome of a write, or the error when it has waited for too long.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.stalled.take().is_some() {
                self.activity.set_stalled(false);
            }
            return outcome;
        }
        let (patience, activity) = (self.patience, &self.activity);
        let stalled = self.stalled.get_or_insert_with(|| {
            activity.set_stalled(true);
            Box::pin(sleep(patience))
        });
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.bounded(cx, written)
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
