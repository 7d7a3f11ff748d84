//! HTTP/2 frame by frame, for clients that no library would make.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::support::{raw, server::Hub};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// Names of fields, by their numbers in the static table, whose values follow.
const AUTHORITY: &[u8] = &[0x01];
const PATH: &[u8] = &[0x04];
const AUTHORIZATION: &[u8] = &[0x0f, 0x08];
/// The status 200, by its number in the static table.
const OK: u8 = 0x88;

/// The setting for how many streams a client may have at a time.
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
/// Error codes of stream resets.
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;

/// A connection that speaks frames of HTTP/2.
pub struct Frames(TlsStream<TcpStream>);

/// A frame from the hub.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frames {
    /// Connects; so many bytes of each stream are taken until there is more room.
    pub async fn open(hub: &Hub, window: u32) -> Self {
        let mut frames = Self(raw::open(hub, &["h2"]).await.unwrap());
        frames.0.write_all(PREFACE).await.unwrap();
        let mut setting = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        setting.extend(window.to_be_bytes());
        frames.send(SETTINGS, 0, 0, &setting).await;
        frames
    }

    /// Begins a request.
    pub async fn get(&mut self, stream: u32, path: &str) {
        self.begin(stream, &[(PATH, path), (AUTHORITY, "localhost")])
            .await;
    }

    /// Begins a request of a caller with this token.
    pub async fn get_as(&mut self, token: &str, stream: u32, path: &str) {
        let token = format!("Bearer {token}");
        let authorized = (AUTHORIZATION, token.as_str());
        self.begin(
            stream,
            &[(PATH, path), (AUTHORITY, "localhost"), authorized],
        )
        .await;
    }

    async fn begin(&mut self, stream: u32, fields: &[(&[u8], &str)]) {
        // GET and https by their numbers in the static table; the others in words.
        let mut head = vec![0x82, 0x87];
        for (name, value) in fields {
            head.extend(*name);
            assert!(value.len() < 127, "a longer one has another form");
            head.push(u8::try_from(value.len()).unwrap());
            head.extend(value.as_bytes());
        }
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &head)
            .await;
    }

    /// Makes room for so many bytes of a stream.
    pub async fn make_room(&mut self, stream: u32, bytes: u32) {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
            .await;
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The next frame of this kind.
    pub async fn next(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.any().await;
            if frame.kind == kind {
                return frame;
            }
        }
    }

    async fn any(&mut self) -> Frame {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.unwrap();
        let number = |bytes: [u8; 4]| u32::from_be_bytes(bytes);
        let length = number([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.unwrap();
        Frame {
            kind: head[3],
            stream: number([head[5], head[6], head[7], head[8]]),
            payload,
        }
    }
}

impl Frame {
    /// Returns the error code of the reset.
    pub fn reason(&self) -> u32 {
        u32::from_be_bytes(*self.payload.first_chunk().unwrap())
    }

    /// True if the head of a response begins with the status 200.
    pub fn is_ok(&self) -> bool {
        self.kind == HEADERS && self.payload.first() == Some(&OK)
    }

    /// A value among settings.
    pub fn setting(&self, wanted: u16) -> Option<u32> {
        self.payload.chunks(6).find_map(|setting| {
            let name = u16::from_be_bytes(*setting.first_chunk()?);
            let value = u32::from_be_bytes(*setting.last_chunk()?);
            (name == wanted).then_some(value)
        })
    }
}
