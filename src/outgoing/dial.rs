//! The way to a server that speaks no HTTP: an address that the guard lets pass, and TLS.

use std::{io, sync::Arc, time::Duration};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::rustls::{
    self, ClientConfig, ConfigBuilder, RootCertStore, client::WantsClientCert,
};
use url::Host;

use super::Guard;

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
