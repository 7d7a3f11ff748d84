//! The calls that a host takes, and the results that it gives.

use std::sync::Arc;

use serde_json::{Map, Value, value::RawValue};
use sha2::{Digest, Sha256};

/// A driver's source with the key under which workers keep it compiled.
#[derive(Debug, Clone)]
pub struct Script {
    /// SHA-256 of `source`, in hexadecimal. It must be true: workers trust it as the cache key.
    pub digest: String,
    /// JavaScript, a sloppy global script.
    pub source: String,
}

impl Script {
    /// A script under its digest.
    pub fn new(source: String) -> Self {
        let digest = hex::encode(Sha256::digest(&source));
        Self { digest, source }
    }
}

/// One uplink to decode.
#[derive(Debug, Clone)]
pub struct DecodeCall {
    /// The tenant of the call: tenants get equal shares of the workers' CPU time.
    pub tenant: i64,
    pub script: Arc<Script>,
    pub payload: bytes::Bytes,
    pub f_port: Option<u8>,
    pub received_at: chrono::DateTime<chrono::Utc>,
    /// The device's state for `decode(payload, port, state)` and, as `input.state`, for
    /// `decodeUplink(input)`, a JSON object; `None`: an empty one. The other functions do not see it.
    pub state: Option<String>,
    /// True to get the whole of what the function returned as well.
    pub whole: bool,
}

/// The result of decoding an uplink.
#[derive(Debug, Clone)]
pub struct Decoded {
    pub data: Map<String, Value>,
    /// The new state of the device, from a TS013 driver that gives one.
    pub new_state: Option<Map<String, Value>>,
    pub warnings: Vec<String>,
    pub logs: Vec<String>,
    /// The whole of what the function returned, if that was asked for; `None` as well where it is larger than
    /// a result may be.
    pub result: Option<Value>,
    /// CPU time that the call cost, including to put its JavaScript runtime back.
    pub cpu_time_us: u64,
    /// The most memory that it had at once, including some 200 KiB of that runtime.
    pub memory_peak_bytes: usize,
}

/// One function of a driver to call, with one input.
#[derive(Debug, Clone)]
pub struct Invoke {
    /// The tenant of the call: tenants share the workers fairly.
    pub tenant: i64,
    pub script: Arc<Script>,
    /// A function that the script defines or exports.
    pub function: String,
    /// The input of the function. `decodeUplink`, `encodeDownlink`, `decodeDownlink` and
    /// `normalizeUplink` get the object as it is; the positional dialects (`decode`, `Decoder`,
    /// `Decode`, `Encoder`, `Encode`) get its `bytes` or `data`, `fPort` and `variables`, `encode` its
    /// `data` and `state`; any other function gets the value as its one argument. In place of `bytes` as an array there may be
    /// hexadecimal text, or `payload_hex` or `payload_base64`.
    pub input: Value,
    /// Becomes `input.recvTime`, as a `Date`. A `recvTime` in the input itself stays what it is.
    pub received_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// The result of a function of a driver.
#[derive(Debug, Clone)]
pub struct Returned {
    /// The whole value, as `JSON.stringify` gives it; null where that is `undefined`.
    pub result: Value,
    /// The text of the same, digit by digit as JavaScript prints it.
    pub json: Box<RawValue>,
    pub logs: Vec<String>,
    /// CPU time that the call cost, including to put its JavaScript runtime back.
    pub cpu_time_us: u64,
    /// The most memory that it had at once, including some 200 KiB of that runtime.
    pub memory_peak_bytes: usize,
}
