//! Connects to servers that do not use HTTP: to an address that the guard allows, with TLS.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base::causes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::ClientConfig};
use url::Host;

use super::guard::Guard;

/// A bidirectional stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Maximum time to connect to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Delay before the next address is tried in parallel (RFC 8305, 5): otherwise the addresses after one that
/// drops packets would never be reached.
const NEXT_AFTER: Duration = Duration::from_millis(250);
/// Maximum number of addresses of a name that are tried. The owner of the name chooses how many it has.
const ADDRESSES_MAX: usize = 8;

/// Connects to a host, at an address that the guard allows.
pub async fn connect(guard: &Guard, host: &Host<&str>, port: u16) -> Result<TcpStream, String> {
    let addresses = guard.addresses(host, port).await?;
    let socket = first(addresses.into_iter().take(ADDRESSES_MAX)).await;
    let socket = socket.map_err(|error| format!("no connection: {error}"))?;
    // Packets are small, and a caller waits for each.
    let _ = socket.set_nodelay(true);
    Ok(socket)
}

/// Returns the first connection that one of these addresses accepts; they are tried in order.
async fn first(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut addresses = addresses.fuse();
    let mut under_way = FuturesUnordered::new();
    loop {
        let next = addresses.next();
        let is_last = next.is_none();
        under_way.extend(next.map(|address| timeout(CONNECT_TIMEOUT, TcpStream::connect(address))));
        tokio::select! {
            Some(ended) = under_way.next() => match ended {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::Error::from(io::ErrorKind::TimedOut),
            },
            () = sleep(NEXT_AFTER), if !is_last => {}
            else => return Err(last),
        }
    }
}

/// Connects to a host, with TLS if there is a configuration: the certificate must be for the host's name.
pub async fn open(
    guard: &Guard,
    host: &Host<&str>,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Box<dyn Stream>, String> {
    let socket = connect(guard, host, port).await?;
    let Some(tls) = tls else {
        return Ok(Box::new(socket));
    };
    Ok(Box::new(encrypt(socket, host, tls).await?))
}

/// Adds TLS to a stream.
pub async fn encrypt<S: Stream>(
    stream: S,
    host: &Host<&str>,
    tls: Arc<ClientConfig>,
) -> Result<TlsStream<S>, String> {
    let name = match *host {
        Host::Domain(name) => ServerName::try_from(name.to_owned())
            .map_err(|_| "TLS: the host's name cannot be in a certificate".to_owned())?,
        Host::Ipv4(address) => ServerName::from(IpAddr::V4(address)),
        Host::Ipv6(address) => ServerName::from(IpAddr::V6(address)),
    };
    let connected = TlsConnector::from(tls).connect(name, stream).await;
    connected.map_err(|error| format!("TLS: {}", causes(&error)))
}

/// A host to connect to.
pub fn borrowed(host: &Host<String>) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name.as_str()),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// An address that takes no packets, as long as what comes with it is held.
    async fn silent() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        // Connections that are not accepted fill the queue of the listener.
        while let Ok(Ok(stream)) = timeout(NEXT_AFTER, TcpStream::connect(address)).await {
            held.push(stream);
        }
        (address, held, listener)
    }

    #[tokio::test]
    async fn an_address_that_is_silent_does_not_hide_the_next() {
        let (silent, _held, _listener) = silent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        // No longer than one address may take.
        let found = timeout(CONNECT_TIMEOUT, first([silent, open].into_iter())).await;
        assert_eq!(found.unwrap().unwrap().peer_addr().unwrap(), open);
    }

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_to_the_next() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refusing = closed.local_addr().unwrap();
        drop(closed);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let found = first([refusing, open].into_iter()).await.unwrap();
        assert_eq!(found.peer_addr().unwrap(), open);
        let error = first([refusing].into_iter()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = first([].into_iter()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
