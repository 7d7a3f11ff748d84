//! Splits WebSocket messages of any size into small ones.
//!
//! MQTT over WebSocket is a stream of bytes, whose packets need not be aligned with messages (MQTT 3.1.1,
//! 6.0.0-4). The WebSocket library buffers a whole message, as large as the broker makes it, before it
//! returns the first byte, and can only reject one by ending the connection; with a persistent session, the
//! broker would send it again on each connection. So the broker's bytes are split here before the library
//! reads them: each piece becomes a message of its own.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// Maximum size of a piece, in bytes.
pub const PIECE_BYTES: usize = 16 * 1024;
/// Maximum size of the response to the handshake, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;
/// Maximum size of a control frame: ping, pong or close.
const CONTROL_BYTES: u64 = 125;

/// The bits of a frame's first byte.
const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const KIND: u8 = 0x0f;
/// The bits of its second byte.
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;

const CONTINUED: u8 = 0;
const BINARY: u8 = 2;
const CONTROL: u8 = 8;

/// Splits the messages of a broker.
#[derive(Default)]
pub struct Pieces {
    state: State,
    /// True if the continued message is binary: others are not MQTT.
    is_binary: bool,
}

#[derive(Default, Clone, Copy)]
enum State {
    /// Within the response to the handshake.
    #[default]
    Answer,
    /// At the start of a frame.
    Frame,
    /// Within a frame, with this number of bytes left.
    Payload(u64),
    /// Within a control frame, which is passed on unchanged, with this number of bytes left.
    Control(u64),
}

impl Decoder for Pieces {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Bytes>> {
        loop {
            match self.state {
                State::Answer => {
                    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
                    return match end {
                        Some(at) => {
                            self.state = State::Frame;
                            Ok(Some(bytes.split_to(at + 4).freeze()))
                        }
                        None if bytes.len() > ANSWER_BYTES => {
                            Err(io::Error::other("the answer to the handshake is too long"))
                        }
                        None => Ok(None),
                    };
                }
                State::Frame => {
                    let Some(frame) = Frame::read(bytes)? else {
                        return Ok(None);
                    };
                    if frame.kind >= CONTROL {
                        self.state = State::Control(frame.length + frame.head as u64);
                        continue;
                    }
                    if frame.kind != CONTINUED {
                        self.is_binary = frame.kind == BINARY;
                    }
                    bytes.advance(frame.head);
                    self.state = State::Payload(frame.length);
                }
                State::Payload(0) | State::Control(0) => self.state = State::Frame,
                State::Payload(left) => {
                    let Some(piece) = take(bytes, left) else {
                        return Ok(None);
                    };
                    self.state = State::Payload(left - piece.len() as u64);
                    if self.is_binary {
                        return Ok(Some(message(&piece)));
                    }
                }
                State::Control(left) => {
                    let Some(piece) = take(bytes, left) else {
                        return Ok(None);
                    };
                    self.state = State::Control(left - piece.len() as u64);
                    return Ok(Some(piece));
                }
            }
        }
    }
}

/// Takes as many of the remaining bytes as have arrived, up to a piece.
fn take(bytes: &mut BytesMut, left: u64) -> Option<Bytes> {
    let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
    let length = bytes.len().min(most);
    (length > 0).then(|| bytes.split_to(length).freeze())
}

/// Writes a complete binary message.
fn message(piece: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(4 + piece.len());
    message.put_u8(FINAL | BINARY);
    match u8::try_from(piece.len()) {
        Ok(short) if short < 126 => message.put_u8(short),
        // A piece has at most 16 KiB.
        _ => {
            message.put_u8(126);
            message.put_u16(u16::try_from(piece.len()).unwrap_or(u16::MAX));
        }
    }
    message.put_slice(piece);
    message.freeze()
}

/// The head of a frame.
struct Frame {
    kind: u8,
    length: u64,
    /// Bytes of the head itself.
    head: usize,
}

impl Frame {
    /// Parses the head; `None` if it is incomplete.
    fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let kind = first & KIND;
        let (length, head) = match second & LENGTH {
            126 => match rest.first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(None),
            },
            length => (u64::from(length), 2),
        };
        let is_known = matches!(kind, 0..=2 | 8..=10);
        let is_control_well_formed = first & FINAL != 0 && length <= CONTROL_BYTES;
        let is_well_formed = first & RESERVED == 0
            && second & MASKED == 0
            && is_known
            && (kind < CONTROL || is_control_well_formed);
        match is_well_formed {
            true => Ok(Some(Self { kind, length, head })),
            false => Err(io::Error::other(
                "the broker breaks the rules of WebSockets",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n";

    /// A frame as a broker sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            short @ ..126 => frame.push(short as u8),
            middle @ ..0x1_0000 => {
                frame.push(126);
                frame.extend((middle as u16).to_be_bytes());
            }
            long => {
                frame.push(127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    /// The payload of binary messages, and all other messages, out of bytes that arrive so many at a time.
    fn cut(bytes: &[u8], at_a_time: usize) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let (mut pieces, mut buffer, mut made) = (Pieces::default(), BytesMut::new(), Vec::new());
        for chunk in [ANSWER, bytes].concat().chunks(at_a_time) {
            buffer.extend_from_slice(chunk);
            while let Some(piece) = pieces.decode(&mut buffer)? {
                assert!(piece.len() <= PIECE_BYTES + 4);
                made.extend_from_slice(&piece);
            }
            assert!(buffer.len() < ANSWER.len() + PIECE_BYTES);
        }
        let mut made = made.strip_prefix(ANSWER).expect("it comes first");
        let (mut payload, mut others) = (Vec::new(), Vec::new());
        while let Some(frame) = Frame::read(made)? {
            let end = frame.head + usize::try_from(frame.length).unwrap();
            match frame.kind {
                BINARY => payload.extend(&made[frame.head..end]),
                _ => others.extend(&made[..end]),
            }
            made = &made[end..];
        }
        assert!(made.is_empty());
        Ok((payload, others))
    }

    #[test]
    fn messages_of_any_size_come_in_pieces() {
        let large: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let ping = frame(FINAL | 9, b"there?");
        let sent = [
            frame(FINAL | BINARY, &large),
            // One in three parts, with a ping among them.
            frame(BINARY, &large[..200]),
            ping.clone(),
            frame(CONTINUED, b""),
            frame(FINAL | CONTINUED, &large[..70_000]),
            // No MQTT.
            frame(1, b"text"),
            frame(FINAL | CONTINUED, b"text"),
            frame(FINAL | BINARY, b"end"),
        ];
        let expected = [&large[..], &large[..200], &large[..70_000], b"end"].concat();
        for at_a_time in [1, 7, 16_000] {
            let (payload, others) = cut(&sent.concat(), at_a_time).unwrap();
            assert!(payload == expected, "{at_a_time}");
            assert_eq!(others, ping);
        }
    }

    #[test]
    fn broken_frames_are_refused() {
        for broken in [
            // Masked, as only clients do.
            &[FINAL | BINARY, MASKED | 1, 0, 0, 0, 0, 0][..],
            // Compressed, though nobody has agreed on it.
            &[FINAL | 0x40 | BINARY, 1, 0],
            &[FINAL | 3, 0],
            // A ping that is cut or long.
            &[9, 0],
            &[FINAL | 9, 126, 0, 126],
        ] {
            assert!(cut(broken, broken.len()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_handshake_ends_within_bounds() {
        let mut buffer = BytesMut::from(&vec![b'a'; ANSWER_BYTES + 1][..]);
        assert!(Pieces::default().decode(&mut buffer).is_err());
    }
}
