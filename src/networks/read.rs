//! Parsers for values in messages. Network servers send numbers as numbers or as text.

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    event::{Report, Uplink},
    malformed::Malformed,
};
use crate::clock;

/// Maximum size of a payload, in bytes. LoRaWAN carries at most 242 bytes and Sigfox 12; devices that
/// use other bearers through the generic adapter fit into one IP packet (1500 bytes). The rest is
/// headroom. The limit also bounds what a driver worker and a database row hold for one message.
pub const MAX_PAYLOAD_BYTES: usize = 4096;
/// Maximum number of receptions stored with an uplink; the first ones in the order sent.
pub const MAX_RECEPTIONS: usize = 64;
/// Maximum length of a text from a message, in characters; longer texts are truncated.
pub const MAX_TEXT_CHARS: usize = 200;

/// Returns the value at a path of member names separated by dots; `None` if it is absent or null.
pub fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let found = path
        .split('.')
        .try_fold(value, |value, name| value.get(name));
    found.filter(|value| !value.is_null())
}

/// Returns the value itself if it is an object.
pub fn object<'v>(value: &'v Value, field: &str) -> Result<&'v Value, Malformed> {
    if value.is_object() {
        return Ok(value);
    }
    Err(Malformed::new(field, "must be a JSON object"))
}

/// Parses a boolean from a boolean, a number or text; anything else is false.
pub fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| {
        let is_yes = |text: &str| text.eq_ignore_ascii_case("true");
        value.as_str().is_some_and(is_yes) || number(value).is_some_and(|number| number != 0.0)
    })
}

/// Parses a finite number.
pub fn number(value: &Value) -> Option<f64> {
    let number = value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number)
}

/// Parses a whole number that is not negative; `3.0` is accepted.
pub fn whole_number(value: &Value) -> Option<u64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let whole = value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and within the bounds as just checked"
    )]
    let of_fraction = || {
        let number = number(value)?;
        (number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number)).then_some(number as u64)
    };
    whole.or_else(of_fraction)
}

/// Parses a signal level in dB or dBm; `None` if it is outside of the measurable range.
pub fn level(value: &Value) -> Option<f64> {
    number(value).filter(|level| level.abs() <= 1000.0)
}

/// Returns text without control characters, truncated to [`MAX_TEXT_CHARS`]; `None` if nothing remains.
pub fn text(value: &Value) -> Option<String> {
    let text: String = value
        .as_str()?
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_TEXT_CHARS)
        .collect();
    (!text.is_empty()).then_some(text)
}

/// Returns a name, or a number as text.
pub fn name(value: &Value) -> Option<String> {
    text(value).or_else(|| Some(value.as_u64()?.to_string()))
}

/// Parses a time from 1970 to 9999 from RFC 3339 text. Also accepts ISO 8601 forms that network servers
/// use: a zone without a colon, and no zone, which means UTC.
pub fn instant(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?.trim();
    let time = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .map(|time| time.to_utc())
        .or_else(|_| {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc())
        });
    from_microseconds(time.ok()?.timestamp_micros())
}

/// Time of reception as reported by a network server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportedTime {
    /// The time, if it is readable.
    pub time: Option<DateTime<Utc>>,
    /// The reported text, if it is not a time.
    pub unread: Option<String>,
}

impl ReportedTime {
    /// Reads the time from the given values in order of preference. Skips unset times, such as the year 1
    /// or 1970, if another value is set.
    pub fn first<'v>(
        places: impl IntoIterator<Item = Option<&'v Value>>,
        read: fn(&Value) -> Option<DateTime<Utc>>,
    ) -> Self {
        let reported: Vec<&Value> = places.into_iter().flatten().collect();
        let mut times = reported.iter().filter_map(|value| read(value));
        let is_set = |time: &DateTime<Utc>| *time >= clock::EARLIEST;
        let time = times.clone().find(is_set).or_else(|| times.next());
        let words = || {
            let value = reported.first()?;
            text(value).or_else(|| text(&Value::from(value.to_string())))
        };
        Self {
            time,
            unread: if time.is_none() { words() } else { None },
        }
    }
}

impl Uplink {
    /// Sets the time that the network server reported.
    #[must_use]
    pub fn heard_at(mut self, reported: ReportedTime) -> Self {
        self.time = reported.time;
        self.radio.reported_time = reported.unread;
        self
    }
}

/// Converts microseconds of Unix time; `None` if outside of 1970 to 9999.
pub fn from_microseconds(microseconds: i64) -> Option<DateTime<Utc>> {
    const YEAR_10000: i64 = 253_402_300_800_000_000;
    if !(0..YEAR_10000).contains(&microseconds) {
        return None;
    }
    DateTime::from_timestamp_micros(microseconds)
}

/// Parses Unix time in seconds below 10^11 (the year 5138), otherwise in milliseconds.
pub fn unix_time(value: &Value) -> Option<DateTime<Utc>> {
    // In milliseconds, 10^11 is in March 1973, before any message was sent.
    const FIRST_MILLISECONDS: f64 = 1e11;
    let is_seconds = number(value)? < FIRST_MILLISECONDS;
    scaled_time(value, if is_seconds { 1e6 } else { 1e3 })
}

/// Parses Unix time in milliseconds.
pub fn milliseconds(value: &Value) -> Option<DateTime<Utc>> {
    scaled_time(value, 1e3)
}

fn scaled_time(value: &Value, microseconds: f64) -> Option<DateTime<Utc>> {
    const END_S: f64 = 253_402_300_800.0;
    let end = END_S * 1e6 / microseconds;
    let number = number(value).filter(|number| (0.0..end).contains(number))?;
    // A double is exact to a microsecond until the year 2255, and to a few microseconds after that.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "below 2.6e17 by the bound above"
    )]
    from_microseconds((number * microseconds).round() as i64)
}

/// Reads a location from members with these names; `None` if the coordinates are out of range.
pub fn place(
    value: &Value,
    latitude: &str,
    longitude: &str,
    altitude: &str,
    radius: &str,
) -> Option<Report> {
    let degrees = |name, most: f64| {
        let degrees = at(value, name).and_then(number);
        degrees.filter(|degrees| degrees.abs() <= most)
    };
    Some(Report::Location {
        latitude: degrees(latitude, 90.0)?,
        longitude: degrees(longitude, 180.0)?,
        altitude_m: at(value, altitude).and_then(number),
        accuracy_m: at(value, radius).and_then(number),
    })
}

/// Reads a location from JSON that omits zeros.
pub fn location(body: &Value, path: &str) -> Option<Report> {
    let mut location = at(body, path)?.as_object()?.clone();
    for name in ["latitude", "longitude"] {
        location.entry(name).or_insert_with(|| 0.into());
    }
    place(
        &Value::Object(location),
        "latitude",
        "longitude",
        "altitude",
        "accuracy",
    )
}

/// Parses a LoRaWAN port.
pub fn port(value: &Value, field: &str) -> Result<u8, Malformed> {
    let port = whole_number(value).and_then(|port| u8::try_from(port).ok());
    port.ok_or_else(|| Malformed::new(field, "must be a whole number from 0 to 255"))
}

/// Parses a frame counter.
pub fn frame_counter(value: &Value, field: &str) -> Result<u32, Malformed> {
    let counter = whole_number(value).and_then(|counter| u32::try_from(counter).ok());
    counter.ok_or_else(|| Malformed::new(field, "must be a whole number from 0 to 4294967295"))
}

/// Encoding of a payload as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadEncoding {
    /// Two hexadecimal digits for each byte, in either case.
    Hex,
    /// Base64, standard or URL-safe, with or without padding.
    Base64,
    /// JSON, which is passed to the driver unchanged.
    Json,
}

/// Decodes a payload.
pub fn payload(value: &Value, encoding: PayloadEncoding, field: &str) -> Result<Bytes, Malformed> {
    use base64::Engine;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

    let too_long = || {
        Malformed::new(
            field,
            format!("must hold at most {MAX_PAYLOAD_BYTES} bytes"),
        )
    };
    let text = value
        .as_str()
        .ok_or_else(|| Malformed::new(field, "must be a string"))?;
    // No encoding uses more than two characters for a byte, so huge texts are rejected before decoding.
    if text.len() > 2 * MAX_PAYLOAD_BYTES {
        return Err(too_long());
    }
    let (bytes, rule) = match encoding {
        PayloadEncoding::Hex => (
            hex::decode(text).ok(),
            "must be hexadecimal: two digits 0-9, a-f for each byte",
        ),
        PayloadEncoding::Base64 if text.contains(['-', '_']) => {
            (URL_SAFE.decode(text).ok(), "must be base64")
        }
        PayloadEncoding::Base64 => (STANDARD.decode(text).ok(), "must be base64"),
        PayloadEncoding::Json => (Some(text.as_bytes().to_vec()), "must be text"),
    };
    let bytes = bytes.ok_or_else(|| Malformed::new(field, rule))?;
    if bytes.len() > MAX_PAYLOAD_BYTES {
        Err(too_long())
    } else {
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_as_servers_send_them() {
        assert_eq!(whole_number(&json!("17")), Some(17));
        assert_eq!(whole_number(&json!(3.0)), Some(3));
        assert_eq!(whole_number(&json!("3.0")), Some(3));
        for odd in [
            json!(-1),
            json!(-1.0),
            json!(3.5),
            json!(1e300),
            json!("NaN"),
            json!(""),
        ] {
            assert_eq!(whole_number(&odd), None, "{odd}");
        }
        assert_eq!(level(&json!("-80.000000")), Some(-80.0));
        assert_eq!(level(&json!("NaN")), None);
        assert_eq!(level(&json!(1e300)), None);
        assert_eq!(text(&json!("a\u{0}b\n")), Some("ab".to_owned()));
        assert_eq!(text(&json!("ü".repeat(300))), Some("ü".repeat(200)));
        assert_eq!(instant(&json!("0001-01-01T00:00:00Z")), None);
        let leap = instant(&json!("2016-12-31T23:59:60.5Z")).map(|time| time.to_rfc3339());
        assert_eq!(leap.as_deref(), Some("2017-01-01T00:00:00.500+00:00"));
    }

    #[test]
    fn times_are_read_as_servers_write_them() {
        let wanted = instant(&json!("2024-01-02T03:04:05.678901Z"));
        assert!(wanted.is_some());
        for text in [
            "2024-01-02T03:04:05.678901",
            "2024-01-02T03:04:05.678901+0000",
            "2024-01-02T04:04:05.678901+01:00",
            "2024-01-02T04:04:05.678901+0100",
        ] {
            assert_eq!(instant(&json!(text)), wanted, "{text}");
        }
        let first = |values: [Value; 2]| ReportedTime::first(values.iter().map(Some), instant);
        let good = || json!("2024-01-02T03:04:05.678901Z");
        for unset in ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "soon"] {
            let reported = first([json!(unset), good()]);
            assert_eq!((reported.time, reported.unread), (wanted, None), "{unset}");
        }
        let reported = first([json!("0001-01-01T00:00:00Z"), json!(7)]);
        assert_eq!(reported.unread.as_deref(), Some("0001-01-01T00:00:00Z"));
        assert_eq!(reported.time, None);
        let reported = first([json!({"a": 1}), json!(null)]);
        assert_eq!(reported.unread.as_deref(), Some("{\"a\":1}"));
    }

    #[test]
    fn payloads_are_bounded_and_checked() {
        let read = |text: &str, encoding| payload(&json!(text), encoding, "data");
        use PayloadEncoding::{Base64, Hex};
        for (text, encoding) in [("FBff00", Hex), ("+/8A", Base64), ("-_8A", Base64)] {
            assert_eq!(
                read(text, encoding).as_deref(),
                Ok(&[0xfb, 0xff, 0][..]),
                "{text}"
            );
        }
        assert_eq!(read("vu8", Base64), read("vu8=", Base64));
        assert_eq!(read("", Hex).as_deref(), Ok(&[][..]));
        assert_eq!(
            read(&"00".repeat(4096), Hex).map(|bytes| bytes.len()),
            Ok(4096)
        );
        for (text, encoding, rule) in [
            (
                "abc",
                Hex,
                "must be hexadecimal: two digits 0-9, a-f for each byte",
            ),
            (
                "0x00",
                Hex,
                "must be hexadecimal: two digits 0-9, a-f for each byte",
            ),
            ("a+b_", Base64, "must be base64"),
            (&"00".repeat(4097), Hex, "must hold at most 4096 bytes"),
            (&"AAAA".repeat(1366), Base64, "must hold at most 4096 bytes"),
        ] {
            assert_eq!(read(text, encoding), Err(Malformed::new("data", rule)));
        }
        let error = payload(&json!(7), Hex, "data").map_err(|error| error.to_string());
        assert_eq!(error, Err("data: must be a string".to_owned()));
    }
}
