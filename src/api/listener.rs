//! One port: TLS by rustls, and plain HTTP told apart by its first byte, so that who forgets the `s`
//! gets an answer that says so.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use poem::{
    http::uri::Scheme,
    listener::Acceptor,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{either::Either, sync::CancellationToken};

use super::refusal;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of a TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// A connection whose scheme is known.
pub struct Connection {
    stream: Stream,
    /// What is left to write in the place of an answer of the HTTP library's own.
    refusal: Option<Bytes>,
    _place: OwnedSemaphorePermit,
}

/// Hands finished connections to the server.
pub struct SniffingAcceptor {
    address: SocketAddr,
    ready: mpsc::Receiver<(Connection, SocketAddr, Scheme)>,
}

impl SniffingAcceptor {
    /// Accepts until `stop`; each handshake runs by itself, so that a slow one delays nobody.
    pub fn new(
        listener: TcpListener,
        tls: TlsAcceptor,
        connections_max: usize,
        stop: CancellationToken,
    ) -> io::Result<(Self, Accepting)> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(64);
        let accepting = Accepting {
            listener,
            tls,
            places: Arc::new(Semaphore::new(connections_max)),
            ready: sender,
            stop,
        };
        Ok((Self { address, ready }, accepting))
    }
}

/// Accepts connections.
pub struct Accepting {
    listener: TcpListener,
    tls: TlsAcceptor,
    places: Arc<Semaphore>,
    ready: mpsc::Sender<(Connection, SocketAddr, Scheme)>,
    stop: CancellationToken,
}

impl Accepting {
    /// Accepts until it is time to stop.
    pub async fn run(&self) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else {
                return;
            };
            let (stream, remote) = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of file handles, say: give others a moment to close theirs.
                        tracing::warn!("a connection could not be accepted: {error}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            let (tls, ready) = (self.tls.clone(), self.ready.clone());
            tokio::spawn(async move {
                if let Ok(Ok((stream, scheme))) =
                    tokio::time::timeout(HANDSHAKE_TIMEOUT, open(stream, tls)).await
                {
                    let _ = ready
                        .send((
                            Connection {
                                stream,
                                refusal: None,
                                _place: place,
                            },
                            remote,
                            scheme,
                        ))
                        .await;
                }
            });
        }
    }
}

type Stream = Either<Box<TlsStream<TcpStream>>, TcpStream>;

async fn open(stream: TcpStream, tls: TlsAcceptor) -> io::Result<(Stream, Scheme)> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first[0] == TLS_HANDSHAKE {
        Ok((
            Either::Left(Box::new(tls.accept(stream).await?)),
            Scheme::HTTPS,
        ))
    } else {
        Ok((Either::Right(stream), Scheme::HTTP))
    }
}

impl Acceptor for SniffingAcceptor {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        match self.ready.recv().await {
            Some((connection, remote, scheme)) => Ok((
                connection,
                LocalAddr(self.address.into()),
                RemoteAddr(remote.into()),
                scheme,
            )),
            // Nothing more will come: the server is about to be told to stop.
            None => std::future::pending().await,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
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
