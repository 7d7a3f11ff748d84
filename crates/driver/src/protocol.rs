//! The frames between host and worker: a little-endian `u32` length, then JSON.
//!
//! JSON because a decoded object passes through as it is (`RawValue`) and because a frame can be
//! read by a person; a call costs far more than its frame. The host sends a [`Hello`] and then one
//! [`Batch`] after another; the worker answers [`Ready`] and then one [`Reply`] a call, in the
//! order of the calls. It writes a reply only when the call is wholly over (its runtime freed), so
//! that the first unanswered call of a batch is the one that a dead worker was running.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use bytes::{Buf, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::DriverError;
use super::limits::Limits;

/// Characters that are kept of a log line, a warning or an error message.
pub const TEXT_CHARS: usize = 500;

/// Warnings that are kept of one result.
pub const WARNINGS: usize = 100;

const LENGTH_BYTES: usize = 4;

/// The version of the program that speaks.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    pub limits: Limits,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Ready {
    /// Of the worker's program: its frames are those of the host only where it is the host's own.
    #[serde(default)]
    pub version: String,
    /// Protections that this kernel refused.
    pub missing: Vec<String>,
    /// CPU time of the start.
    pub worker_cpu_time_us: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Batch<'a> {
    pub calls: Vec<Call<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Call<'a> {
    /// The tenant of the call.
    pub tenant: i64,
    pub digest: Cow<'a, str>,
    /// Only where the host believes that the worker does not have the script.
    pub source: Option<Cow<'a, str>>,
    pub task: Task,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Task {
    Check,
    Decode {
        #[serde(with = "base64_bytes")]
        payload: bytes::Bytes,
        f_port: Option<u8>,
        received_at_ms: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        whole: bool,
    },
    /// One function with one input, for its whole result.
    Call {
        function: String,
        input: Box<RawValue>,
        received_at_ms: Option<i64>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    pub outcome: Outcome,
    /// CPU time of the worker since its start. What a call costs is the difference from the reply
    /// before: whatever came of it, compiling its script and reading its frame too.
    pub worker_cpu_time_us: u64,
    /// The worker ends after this reply, on purpose; what it had not begun goes to another.
    pub retiring: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    Decoded {
        data: Box<RawValue>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new_state: Option<Box<RawValue>>,
        warnings: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Box<RawValue>>,
        logs: Vec<String>,
        cpu_time_us: u64,
        memory_peak_bytes: usize,
    },
    Returned {
        result: Box<RawValue>,
        logs: Vec<String>,
        cpu_time_us: u64,
        memory_peak_bytes: usize,
    },
    Checked {
        names: Vec<String>,
    },
    Failed(DriverError),
    /// The script came without its source, and is not here any more.
    NeedScript,
}

/// The longest frame that a host takes from a worker, which may have been subverted.
pub fn reply_bytes_max(limits: &Limits) -> usize {
    // A character is up to 6 bytes once escaped (\u0000).
    // The data, the state, and perhaps the whole result that they are of.
    3 * limits.output_bytes + (limits.log_lines + WARNINGS + 2) * (TEXT_CHARS + 8) * 6 + 1024
}

/// `message` as a frame.
pub fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - LENGTH_BYTES).map_err(|_| too_long())?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Takes the first frame's body off `buffer`, or `None` where it is not all there yet.
pub fn take_frame(buffer: &mut BytesMut, bytes_max: usize) -> io::Result<Option<BytesMut>> {
    let Some(prefix) = buffer.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*prefix) as usize;
    if length > bytes_max {
        return Err(too_long());
    }
    if buffer.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    Ok(Some(buffer.split_to(length)))
}

/// Reads one frame's body; `None` when the other side has closed.
pub fn read_frame(reader: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut prefix = [0; LENGTH_BYTES];
    match reader.read_exact(&mut prefix) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let mut body = vec![0; u32::from_le_bytes(prefix) as usize];
    reader.read_exact(&mut body)?;
    Ok(Some(body))
}

pub fn write_frame<T: Serialize>(writer: &mut impl Write, message: &T) -> io::Result<()> {
    writer.write_all(&frame(message)?)
}

pub fn parse<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(body)?)
}

/// `text` cut to [`TEXT_CHARS`] characters, with an ellipsis where something is missing.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "driver frame is too long")
}

mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(
        bytes: &bytes::Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<bytes::Bytes, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        STANDARD
            .decode(text.as_bytes())
            .map(Into::into)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_split() {
        let hello = Hello {
            limits: Limits::default(),
        };
        let mut wire = frame(&hello).unwrap();
        wire.extend(
            frame(&Ready {
                version: VERSION.to_owned(),
                missing: vec!["seccomp".into()],
                worker_cpu_time_us: 1,
            })
            .unwrap(),
        );

        let mut buffer = BytesMut::new();
        let mut bodies = Vec::new();
        for byte in wire {
            buffer.extend_from_slice(&[byte]);
            while let Some(body) = take_frame(&mut buffer, 4096).unwrap() {
                bodies.push(body);
            }
        }

        assert_eq!(bodies.len(), 2);
        assert_eq!(parse::<Hello>(&bodies[0]).unwrap().limits, hello.limits);
        assert_eq!(parse::<Ready>(&bodies[1]).unwrap().missing, ["seccomp"]);
    }

    #[test]
    fn an_oversized_frame_is_refused_by_its_prefix_alone() {
        let mut buffer = BytesMut::from(&u32::MAX.to_le_bytes()[..]);
        assert!(take_frame(&mut buffer, 1 << 20).is_err());
    }

    #[test]
    fn a_frame_may_be_as_long_as_the_bound() {
        let wire = frame(&"four").unwrap();
        let length = wire.len() - LENGTH_BYTES;
        let taken = |bytes_max| take_frame(&mut BytesMut::from(&wire[..]), bytes_max);
        assert!(taken(length).unwrap().is_some());
        assert!(taken(length - 1).is_err());
    }

    #[test]
    fn the_longest_reply_has_all_outputs_and_all_lines_escaped() {
        let limits = Limits {
            output_bytes: 1_000,
            log_lines: 10,
            ..Limits::default()
        };
        // Three outputs; 10 lines, 100 warnings and two texts of 508 characters with up to 6 bytes; and the rest.
        assert_eq!(reply_bytes_max(&limits), 3_000 + 112 * 3_048 + 1_024);
    }

    #[test]
    fn a_call_and_a_raw_result_survive_the_wire() {
        let call = Call {
            tenant: 1,
            digest: "d".into(),
            source: Some("a\n\"b\"\u{0}".into()),
            task: Task::Decode {
                payload: vec![0, 255].into(),
                f_port: Some(2),
                received_at_ms: -1,
                state: None,
                whole: false,
            },
        };
        let wire = frame(&Batch { calls: vec![call] }).unwrap();
        let batch: Batch = parse(&wire[4..]).unwrap();
        assert_eq!(batch.calls[0].source.as_deref(), Some("a\n\"b\"\u{0}"));
        assert!(
            matches!(&batch.calls[0].task, Task::Decode { payload, .. } if payload[..] == [0, 255])
        );

        let data = RawValue::from_string(r#"{"b":1,"a":[1.50]}"#.into()).unwrap();
        let outcome = Outcome::Decoded {
            data,
            new_state: None,
            warnings: vec![],
            result: None,
            logs: vec![],
            cpu_time_us: 1,
            memory_peak_bytes: 1,
        };
        let wire = frame(&Reply {
            outcome,
            worker_cpu_time_us: 2,
            retiring: false,
        })
        .unwrap();
        match parse::<Reply>(&wire[4..]).unwrap().outcome {
            Outcome::Decoded { data, .. } => assert_eq!(data.get(), r#"{"b":1,"a":[1.50]}"#),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reading_ends_quietly_at_the_end_and_loudly_in_the_middle() {
        assert!(read_frame(&mut &[][..]).unwrap().is_none());
        assert!(read_frame(&mut &[9, 0, 0, 0, b'{'][..]).is_err());
        // Any other error is none of the ends.
        assert!(read_frame(&mut Broken).is_err());
    }

    /// A pipe that cannot be read.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    #[test]
    fn cutting_counts_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"é".repeat(TEXT_CHARS)), "é".repeat(TEXT_CHARS));
        assert_eq!(
            cut(&"é".repeat(TEXT_CHARS + 1)),
            format!("{}…", "é".repeat(TEXT_CHARS))
        );
    }
}
