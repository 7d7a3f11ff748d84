//! The way to a server that speaks no HTTP: an address that the guard lets pass, and TLS.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{self, ClientConfig, ConfigBuilder, RootCertStore, client::WantsClientCert},
};
use url::Host;

use super::Guard;
use crate::error::causes;

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Longest time for one address to take the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to a host, to an address that the guard lets pass.
pub async fn connect(guard: &Guard, host: &Host<&str>, port: u16) -> Result<TcpStream, String> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in guard.addresses(host, port).await? {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                // Packets are small and somebody waits for each.
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::from(io::ErrorKind::TimedOut),
        }
    }
    Err(format!("no connection: {last}"))
}

/// Connects to a host, and encrypts where there is a configuration of TLS: the certificate must be for
/// the host's name.
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

/// Encrypts what goes over a stream.
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

/// TLS that trusts the certificates in PEM, or those that the system trusts.
pub fn tls(ca: Option<&str>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let Some(ca) = ca else {
        return builder
            .with_platform_verifier()
            .map_err(|error| format!("the system's certificates: {error}"));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots
            .add(certificate)
            .map_err(|error| format!("ca: {error}"))?;
    }
    Ok(builder.with_root_certificates(roots))
}

/// The certificates in a PEM text.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}
