//! The way to a broker: an address that the guard lets pass, then TLS and WebSocket where the URL
//! asks for them. The broker's certificate is always checked, against its name in the URL.

use std::{future::ready, io, sync::Arc};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::{PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};
use tokio_tungstenite::{
    client_async,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
    },
};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};
use url::Host;

use super::Broker;
use crate::{
    error::causes,
    outgoing::{Guard, dial},
};

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Reaches the broker; the error is for a person and names no secret.
pub async fn dial(broker: &Broker, guard: &Guard) -> Result<Box<dyn Stream>, String> {
    let host = match broker.url.host_str() {
        Some(host) => Host::parse(host).map_err(|_| "the URL's host cannot be read".to_owned())?,
        None => return Err("the URL has no host".to_owned()),
    };
    let socket = connect(&host, broker.port(), guard).await?;
    let stream: Box<dyn Stream> = if broker.is_encrypted() {
        let config = client_config(broker).map_err(|error| format!("TLS: {error}"))?;
        let name = match &host {
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|_| "TLS: the host's name cannot be in a certificate".to_owned())?,
            Host::Ipv4(address) => ServerName::from(std::net::IpAddr::V4(*address)),
            Host::Ipv6(address) => ServerName::from(std::net::IpAddr::V6(*address)),
        };
        let connector = TlsConnector::from(Arc::new(config));
        Box::new(
            connector
                .connect(name, socket)
                .await
                .map_err(|error| format!("TLS: {}", causes(&error)))?,
        )
    } else {
        Box::new(socket)
    };
    if broker.is_web_socket() {
        web_socket(broker, stream).await
    } else {
        Ok(stream)
    }
}

/// Packets in the binary messages of a WebSocket (MQTT 3.1.1, chapter 6).
async fn web_socket(broker: &Broker, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, String> {
    let refused = |error: tungstenite::Error| format!("WebSocket: {error}");
    let mut request = broker.url.as_str().into_client_request().map_err(refused)?;
    let protocol = HeaderValue::from_static("mqtt");
    request
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    let (socket, _) = client_async(request, stream).await.map_err(refused)?;
    let (outgoing, incoming) = socket.split();
    let incoming = incoming.filter_map(|message| {
        ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(_) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        })
    });
    let outgoing = outgoing
        .sink_map_err(io::Error::other)
        .with(|bytes: Bytes| ready(Ok::<_, io::Error>(Message::Binary(bytes))));
    Ok(Box::new(tokio::io::join(
        StreamReader::new(incoming),
        SinkWriter::new(CopyToBytes::new(outgoing)),
    )))
}

async fn connect(host: &Host<String>, port: u16, guard: &Guard) -> Result<TcpStream, String> {
    let host = match host {
        Host::Domain(name) => Host::Domain(name.as_str()),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    };
    dial::connect(guard, &host, port).await
}

fn client_config(broker: &Broker) -> Result<ClientConfig, String> {
    let builder = dial::tls(broker.settings.ca.as_deref())?;
    let own = (
        &broker.settings.client_certificate,
        &broker.credentials.client_key,
    );
    let mut config = match own {
        (Some(certificate), Some(key)) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|_| "client_key: no private key in PEM".to_owned())?;
            builder
                .with_client_auth_cert(dial::certificates(certificate)?, key)
                .map_err(|error| format!("client_certificate and client_key: {error}"))?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = broker
        .settings
        .alpn
        .iter()
        .map(|protocol| protocol.clone().into_bytes())
        .collect();
    Ok(config)
}
