//! Connects to a broker: to an address that the guard allows, with TLS and WebSocket if the URL requires
//! them. The broker's certificate is always checked against its name in the URL.

use std::{future::ready, io, sync::Arc};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio_rustls::rustls::ClientConfig;
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::WebSocketConfig,
    },
};
use tokio_util::{
    codec::FramedRead,
    io::{CopyToBytes, SinkWriter, StreamReader},
};
use url::Host;

use super::{
    packets::PACKET_MAX_BYTES,
    pieces::{PIECE_BYTES, Pieces},
    settings::{Broken, Broker},
};
use crate::outgoing::{
    Guard,
    dial::{self, Stream},
};

/// The least that is sent at a time, and most that is kept of one read.
const BUFFER_BYTES: usize = 8 * 1024;
/// Maximum number of bytes that wait to be sent: a packet of the largest size with its frame.
const UNSENT_BYTES: usize = 2 * PACKET_MAX_BYTES;

/// Connects to the broker; the error is for a person and contains no secret.
pub async fn dial(broker: &Broker, guard: &Guard) -> Result<Box<dyn Stream>, String> {
    let host = match broker.url.host_str() {
        Some(host) => Host::parse(host).map_err(|_| "the URL's host cannot be read".to_owned())?,
        None => return Err("the URL has no host".to_owned()),
    };
    let tls = match broker.is_encrypted() {
        true => Some(Arc::new(
            client_config(broker).map_err(|error| format!("TLS: {error}"))?,
        )),
        false => None,
    };
    let stream = dial::open(guard, &dial::borrowed(&host), broker.port(), tls).await?;
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
    let (read, write) = tokio::io::split(stream);
    let read = StreamReader::new(FramedRead::new(read, Pieces::default()));
    let stream = tokio::io::join(read, write);
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(UNSENT_BYTES)
        .max_message_size(Some(PIECE_BYTES))
        .max_frame_size(Some(PIECE_BYTES));
    let (socket, _) = client_async_with_config(request, stream, Some(config))
        .await
        .map_err(refused)?;
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

fn client_config(broker: &Broker) -> Result<ClientConfig, Broken> {
    let mut config = broker.settings.tls(&broker.credentials).config()?;
    config.alpn_protocols = broker
        .settings
        .alpn
        .iter()
        .map(|protocol| protocol.clone().into_bytes())
        .collect();
    Ok(config)
}
