//! One connection to a broker, with one request and its response at a time.

use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::{
    messages::RequestHeader,
    protocol::{Request, StrBytes, encode_request_header_into_buffer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::{answers, failure::Failure};
use crate::outgoing::dial::Stream;

/// Longest time for a broker to answer: a little more than it may wait for its replicas.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
/// The longest answer that is read: what a cluster of a thousand brokers says of a topic with thousands of
/// partitions.
const ANSWER_MAX_BYTES: usize = 256 * 1024;

/// A connection.
pub struct Connection {
    stream: Box<dyn Stream>,
    last_id: i32,
    /// Time at which the broker requires another login.
    ends_at: Option<Instant>,
}

impl Connection {
    /// Wraps a new connection.
    pub fn over(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            last_id: 0,
            ends_at: None,
        }
    }

    /// Records how long the login is valid, if the broker limits that.
    pub fn note_login(&mut self, lifetime: Option<Duration>) {
        self.ends_at = lifetime.map(|lifetime| Instant::now() + lifetime);
    }

    /// Sends a request and waits for its response.
    pub async fn ask<R: Request>(&mut self, version: i16, request: &R) -> Result<Vec<u8>, Failure> {
        self.last_id = self.last_id.wrapping_add(1);
        let frame = frame(self.last_id, version, request)
            .map_err(|error| Failure::hopeless(format!("the request cannot be made: {error}")))?;
        let exchange = async {
            self.stream.write_all(&frame).await?;
            self.stream.flush().await?;
            let length = self.stream.read_u32().await?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length > ANSWER_MAX_BYTES {
                return Ok(None);
            }
            let mut answer = vec![0; length];
            self.stream.read_exact(&mut answer).await?;
            Ok(Some(answer))
        };
        let broke =
            |error: std::io::Error| Failure::ask_again(format!("the connection broke: {error}"));
        let answer = timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| Failure::ask_again("the broker does not answer"))?
            .map_err(broke)?
            .ok_or_else(|| Failure::wait("the answer is too long; is this a broker of Kafka?"))?;
        match answers::correlated(&answer) {
            Some((id, rest)) if id == self.last_id => Ok(rest.to_vec()),
            _ => Err(unreadable()),
        }
    }

    /// Returns true if another login is due.
    pub fn has_ended(&self) -> bool {
        self.ends_at.is_some_and(|end| end <= Instant::now())
    }

    /// Waits until the broker closes the connection or sends something unasked; the connection must be
    /// dropped then. Cancel-safe.
    pub async fn broken(&mut self) {
        let _ = self.stream.read_u8().await;
    }
}

/// The error of an invalid response.
pub fn unreadable() -> Failure {
    Failure::wait("the answer cannot be read; is this a broker of Kafka?")
}

fn frame<R: Request>(id: i32, version: i16, request: &R) -> Result<BytesMut, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(id)
        .with_client_id(Some(StrBytes::from_static_str("thingshub")));
    let mut frame = BytesMut::from(&[0; 4][..]);
    encode_request_header_into_buffer(&mut frame, &header).map_err(|error| error.to_string())?;
    request
        .encode(&mut frame, version)
        .map_err(|error| error.to_string())?;
    let length = u32::try_from(frame.len() - 4).map_err(|error| error.to_string())?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}
