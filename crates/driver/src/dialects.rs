//! The functions by which hosts know a driver.

/// Functions that decode an uplink, the preferred one first.
pub const DECODERS: [&str; 4] = ["decodeUplink", "decode", "Decoder", "Decode"];

/// Functions that encode a downlink, the preferred one first.
pub const ENCODERS: [&str; 4] = ["encodeDownlink", "encode", "Encoder", "Encode"];

/// Functions of TS013, which wrap their result: `{data, warnings, errors}`.
const TS013: [&str; 4] = [
    "decodeUplink",
    "encodeDownlink",
    "decodeDownlink",
    "normalizeUplink",
];

/// Returns whether a function wraps its result, as TS013 says.
pub fn is_ts013(function: &str) -> bool {
    TS013.contains(&function)
}
