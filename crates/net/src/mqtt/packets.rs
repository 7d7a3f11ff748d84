//! Decodes and encodes packets.
//!
//! rumqttc's codec rejects a packet that is too large and ends the connection. With a persistent session,
//! the broker would send the rejected message again on each connection, and no later message would ever
//! arrive. So this codec skips the bytes of such a message, and keeps what is needed to acknowledge it. Any
//! other packet that is too large still ends the connection: none needs to be that large.

use bytes::{Buf, BytesMut};
use rumqttc::{Codec, Error, FixedHeader, Packet, Publish};
use tokio_util::codec::{Decoder, Encoder};

/// Maximum size of a packet in either direction, without its fixed header: 1 MiB.
pub const PACKET_MAX_BYTES: usize = 1024 * 1024;
/// Packet type of a PUBLISH, in the upper half of the first byte.
const PUBLISH: u8 = 3;
/// Continuation bit of the length.
const MORE: u8 = 0x80;

/// A message or packet from a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A packet.
    Packet(Packet),
    /// A message that is larger than 1 MiB, without its payload.
    TooLarge(Publish),
}

/// The codec of a connection.
pub struct Packets {
    codec: Codec,
    /// Remaining bytes of a message that is too large.
    skip: usize,
    has_skipped: bool,
}

impl Default for Packets {
    fn default() -> Self {
        Self {
            codec: Codec {
                max_incoming_size: PACKET_MAX_BYTES,
                max_outgoing_size: PACKET_MAX_BYTES,
            },
            skip: 0,
            has_skipped: false,
        }
    }
}

impl Packets {
    /// Returns true if bytes have been skipped since the last call: then the broker is alive, though it
    /// cannot answer a ping in the middle of a message.
    pub fn has_skipped(&mut self) -> bool {
        std::mem::take(&mut self.has_skipped)
    }
}

impl Decoder for Packets {
    type Item = Incoming;
    type Error = Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Incoming>, Error> {
        if self.skip > 0 {
            let skipped = self.skip.min(bytes.len());
            bytes.advance(skipped);
            self.skip -= skipped;
            self.has_skipped = true;
        }
        match self.codec.decode(bytes) {
            Ok(packet) => Ok(packet.map(Incoming::Packet)),
            Err(Error::PayloadSizeLimitExceeded(length)) if bytes[0] >> 4 == PUBLISH => {
                let Some((head, size)) = head(bytes)? else {
                    return Ok(None);
                };
                self.skip = length
                    .checked_sub(size)
                    .ok_or(Error::BoundaryCrossed(size))?;
                Ok(Some(Incoming::TooLarge(head)))
            }
            Err(error) => Err(error),
        }
    }
}

impl Encoder<Packet> for Packets {
    type Error = Error;

    fn encode(&mut self, packet: Packet, bytes: &mut BytesMut) -> Result<(), Error> {
        self.codec.encode(packet, bytes)
    }
}

/// Parses a message up to its payload. Also returns the length of this part without the fixed header; `None`
/// if it has not arrived completely.
fn head(bytes: &mut BytesMut) -> Result<Option<(Publish, usize)>, Error> {
    // The codec has read the length, so it is complete.
    let length_bytes = 1 + bytes[1..]
        .iter()
        .take_while(|byte| **byte & MORE != 0)
        .count();
    let start = 1 + length_bytes;
    let Some(topic) = bytes.get(start..start + 2) else {
        return Ok(None);
    };
    let topic_bytes = usize::from(u16::from_be_bytes([topic[0], topic[1]]));
    let has_id = bytes[0] & 0b0110 != 0;
    let size = 2 + topic_bytes + if has_id { 2 } else { 0 };
    if bytes.len() < start + size {
        return Ok(None);
    }
    let header = FixedHeader::new(bytes[0], length_bytes, size);
    let publish = Publish::read(header, bytes.split_to(start + size).freeze())?;
    Ok(Some((publish, size)))
}

#[cfg(test)]
mod tests {
    use rumqttc::QoS;

    use super::*;

    /// Decodes bytes that arrive in portions of this size. Returns the packets and the largest amount of
    /// buffered bytes.
    fn decode(bytes: &[u8], at_a_time: usize) -> (Vec<Incoming>, usize) {
        let (mut packets, mut buffer, mut found) = (Packets::default(), BytesMut::new(), vec![]);
        let mut most = 0;
        for chunk in bytes.chunks(at_a_time) {
            buffer.extend_from_slice(chunk);
            while let Some(packet) = packets.decode(&mut buffer).unwrap() {
                found.push(packet);
            }
            most = most.max(buffer.len());
        }
        assert!(buffer.is_empty());
        (found, most)
    }

    fn publish(qos: QoS, payload_bytes: usize) -> Publish {
        let mut publish = Publish::new("sensors/ü/up", qos, vec![b'x'; payload_bytes]);
        publish.pkid = if qos == QoS::AtMostOnce { 0 } else { 300 };
        publish
    }

    #[test]
    fn a_message_that_is_too_large_is_skipped_and_known() {
        // Lengths of three and of four bytes, and the largest that is taken.
        for (payload_bytes, is_taken) in [
            (PACKET_MAX_BYTES - 20, true),
            (PACKET_MAX_BYTES, false),
            (3 * PACKET_MAX_BYTES, false),
        ] {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
                let mut bytes = BytesMut::new();
                let large = publish(qos, payload_bytes);
                large.write(&mut bytes).unwrap();
                let small = publish(QoS::AtLeastOnce, 3);
                small.write(&mut bytes).unwrap();
                let expected = match is_taken {
                    true => Incoming::Packet(Packet::Publish(large)),
                    false => Incoming::TooLarge(publish(qos, 0)),
                };
                let expected = [expected, Incoming::Packet(Packet::Publish(small))];
                for at_a_time in [1, 7, 4096, bytes.len()] {
                    let (found, most) = decode(&bytes, at_a_time);
                    assert!(found == expected, "{payload_bytes} {qos:?} {at_a_time}");
                    assert!(is_taken || most < 4096, "{most} bytes were kept");
                }
            }
        }
    }

    #[test]
    fn other_packets_that_are_too_large_are_refused() {
        for first in [0x90, 0x20] {
            let mut bytes = BytesMut::from(&[first, 0xff, 0xff, 0xff, 0x7f, 0, 0][..]);
            assert!(Packets::default().decode(&mut bytes).is_err());
        }
        // A topic that is longer than the message says.
        let mut bytes = BytesMut::from(&[0x32, 0x81, 0x80, 0x80, 0x00][..]);
        assert!(Packets::default().decode(&mut bytes).is_ok());
    }
}
