//! A client's connection: a socket that is closed when the peer stops reading, TLS, and the connection's place
//! in the limits.

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
use crate::{metrics, shares};

/// First byte of a TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// Name of HTTP/2 in ALPN.
const HTTP2: &[u8] = b"h2";

/// A connection's place in the limits; released when dropped.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    /// None for a trusted proxy, which connects for many clients.
    _share: Option<shares::Place<IpAddr>>,
    /// Counts the connection.
    _open: metrics::Open,
}

impl Place {
    /// Combines a place among all connections with one in the share of the address.
    pub fn new(
        permit: OwnedSemaphorePermit,
        share: Option<shares::Place<IpAddr>>,
        open: metrics::Open,
    ) -> Self {
        Self {
            _permit: permit,
            _share: share,
            _open: open,
        }
    }
}

/// An open connection whose scheme is known.
pub struct Connection {
    stream: Stream,
    /// Rest of a response that is written instead of the HTTP library's own.
    refusal: Option<Bytes>,
    activity: Arc<Activity>,
    _place: Place,
}

type Stream = Either<Box<TlsStream<Socket>>, Socket>;

impl Connection {
    /// Detects the scheme and does the TLS handshake. The connection fails once the peer has not read anything
    /// for `patience`.
    pub async fn open(
        stream: TcpStream,
        tls: &TlsAcceptor,
        patience: Duration,
        activity: &Arc<Activity>,
        place: Place,
    ) -> io::Result<(Self, Scheme)> {
        stream.set_nodelay(true)?;
        // Also ends connections whose peer is gone or keeps its window closed while the kernel can still
        // buffer.
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

/// A socket whose writes fail after the peer has not read anything for a while. It lies below TLS, which
/// buffers bytes that the peer has not read.
pub struct Socket {
    stream: TcpStream,
    patience: Duration,
    /// Timeout that runs while a write waits for the peer.
    stalled: Option<Pin<Box<Sleep>>>,
    activity: Arc<Activity>,
}

impl Socket {
    /// Returns the result of a write, or an error once it has waited for too long.
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
