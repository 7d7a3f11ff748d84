//! Connections of the HTTP client: to an address that the guard allows, with TLS for `https`, over a stream
//! that limits the server's bytes.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use hyper::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use tokio_rustls::rustls::ClientConfig;
use tower_service::Service;
use url::Host;

use super::{
    counted::Counted,
    dial::{self, Stream},
    guard::Guard,
    traffic::Traffic,
};

/// Most bytes from a server after a request: its head, however often it puts it off, and what is read of
/// the body.
const UNASKED_MAX_BYTES: usize = 256 * 1024;

/// Opens connections. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    guard: Guard,
    tls: Arc<ClientConfig>,
    within: Duration,
}

/// One connection.
pub struct Socket {
    stream: Box<dyn Stream>,
    traffic: Traffic,
}

impl Connector {
    /// Gives up after this time.
    pub fn new(guard: Guard, tls: Arc<ClientConfig>, within: Duration) -> Self {
        Self { guard, tls, within }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Socket>, String> {
        let host = Host::parse(uri.host().unwrap_or_default()).map_err(|e| e.to_string())?;
        let host = dial::borrowed(&host);
        let is_encrypted = uri.scheme_str() == Some("https");
        let port = uri
            .port_u16()
            .unwrap_or(if is_encrypted { 443 } else { 80 });
        let open = async {
            let socket = dial::connect(&self.guard, &host, port).await?;
            let socket = Counted::new(socket, UNASKED_MAX_BYTES);
            let stream: Box<dyn Stream> = match is_encrypted {
                true => Box::new(dial::encrypt(socket, &host, self.tls.clone()).await?),
                false => Box::new(socket),
            };
            let traffic = Traffic::new();
            Ok(TokioIo::new(Socket { stream, traffic }))
        };
        let opened = timeout(self.within, open).await;
        opened.map_err(|_| "no connection: no answer in time".to_owned())?
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Socket>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connect = self.clone().connect(uri);
        async { connect.await.map_err(Into::into) }.boxed()
    }
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.traffic.clone())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.traffic.heard();
        }
        if let Poll::Ready(Err(why)) = &read {
            self.traffic.broken(why);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.traffic.sending();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
