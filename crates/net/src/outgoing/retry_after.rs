//! Parses the header `Retry-After` (RFC 9110, 10.2.3) as leniently as possible.
//!
//! Servers send fractions, dates in other formats and numbers of any size. To ignore such a value would mean
//! an immediate retry at a server that asks for a pause, so every readable value counts, within limits.

use std::time::Duration;

use base::clock::Time;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, TimeDelta};
use hyper::{
    HeaderMap,
    header::{DATE, HeaderValue, RETRY_AFTER},
};

/// Maximum wait that a server may request: longer ones are reduced to this one.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// ISO 8601 with an offset from UTC, beside what RFC 3339 has of it.
const WITH_OFFSET: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y%m%dT%H%M%S%.f%#z",
];
/// The same without one: UTC.
const WITHOUT_OFFSET: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y%m%dT%H%M%S%.f",
];

/// Returns the requested wait, from zero to [`RETRY_AFTER_MAX`]; `None` if there is none in a readable form.
/// Of several lines the longest wait counts. A date is compared with the server's own clock if the response
/// contains the time.
pub fn read(headers: &HeaderMap, now: Time) -> Option<TimeDelta> {
    let reported = headers.get(DATE).and_then(text).and_then(date);
    let now = reported.unwrap_or(now);
    let lines = headers.get_all(RETRY_AFTER).iter().filter_map(text);
    lines.filter_map(|line| wait(line, now)).max()
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// Parses one line: seconds, a time, or several numbers that a proxy has combined.
fn wait(line: &str, now: Time) -> Option<TimeDelta> {
    let line = line.trim().trim_matches('"').trim();
    let numbers = || {
        line.split(',')
            .filter_map(|part| seconds(part.trim()))
            .max()
    };
    seconds(line)
        .or_else(|| date(line).map(|at| (at - now).to_std().unwrap_or_default()))
        .or_else(numbers)
        .and_then(|wait| TimeDelta::from_std(wait.min(RETRY_AFTER_MAX)).ok())
}

/// Parses a number of any size, with a sign, a fraction or an exponent, optionally followed by `s`.
fn seconds(text: &str) -> Option<Duration> {
    let number = text.strip_suffix(['s', 'S']).unwrap_or(text).trim_end();
    // Rust also parses words such as `inf` and `NaN`, which are not numbers here.
    let is_number = number
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let number: f64 = number.parse().ok().filter(|_| is_number)?;
    let number = number.clamp(0.0, RETRY_AFTER_MAX.as_secs_f64());
    Some(Duration::try_from_secs_f64(number).unwrap_or_default())
}

/// Parses a point in time: one of the three formats of HTTP, that of e-mail, or ISO 8601.
fn date(text: &str) -> Option<Time> {
    let text = text.trim().trim_matches('"');
    if let Ok(time) = httpdate::parse_http_date(text) {
        return Some(time.into());
    }
    let with_offset = |format: &&str| DateTime::parse_from_str(text, format).ok();
    let zoned: Option<DateTime<FixedOffset>> = DateTime::parse_from_rfc2822(text)
        .or_else(|_| DateTime::parse_from_rfc3339(text))
        .ok()
        .or_else(|| WITH_OFFSET.iter().find_map(with_offset));
    if let Some(time) = zoned {
        return Some(time.to_utc());
    }
    let text = ["UTC", "GMT"]
        .iter()
        .find_map(|zone| text.strip_suffix(zone))
        .unwrap_or(text)
        .trim_end();
    let time = |format: &&str| NaiveDateTime::parse_from_str(text, format).ok();
    let day = || {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        day.and_hms_opt(0, 0, 0)
    };
    let naive = WITHOUT_OFFSET.iter().find_map(time).or_else(day);
    naive.map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX_S: f64 = 3600.0;

    fn now() -> Time {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    fn of_lines(lines: &[&str]) -> Option<f64> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(RETRY_AFTER, HeaderValue::from_str(line).unwrap());
        }
        read(&headers, now()).map(|wait| wait.to_std().unwrap().as_secs_f64())
    }

    fn of(line: &str) -> Option<f64> {
        of_lines(&[line])
    }

    #[test]
    fn seconds_are_read_whatever_they_look_like() {
        for (line, seconds) in [
            ("0", 0.0),
            ("120", 120.0),
            ("  120\t", 120.0),
            ("\"120\"", 120.0),
            ("+7", 7.0),
            ("007", 7.0),
            ("1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e2", 100.0),
            ("30s", 30.0),
            ("30 s", 30.0),
            ("-5", 0.0),
            ("-0.0", 0.0),
            ("3601", MAX_S),
            ("4294967296", MAX_S),
            ("18446744073709551616", MAX_S),
            ("1e30", MAX_S),
            ("1e999", MAX_S),
            ("-1e999", 0.0),
            ("60, 120", 120.0),
        ] {
            assert_eq!(of(line), Some(seconds), "{line}");
        }
    }

    #[test]
    fn times_are_read_whatever_they_look_like() {
        for line in [
            "Sat, 31 Jan 2026 12:10:00 GMT",
            "Saturday, 31-Jan-26 12:10:00 GMT",
            "Sat Jan 31 12:10:00 2026",
            "Sat, 31 Jan 2026 12:10:00 +0000",
            "31 Jan 2026 13:10:00 +0100",
            "2026-01-31T12:10:00Z",
            "2026-01-31t12:10:00z",
            "2026-01-31T12:10:00.000000001Z",
            "2026-01-31T13:10:00+01:00",
            "2026-01-31T13:10:00+0100",
            "2026-01-31T13:10:00+01",
            "2026-01-31 12:10:00+00:00",
            "2026-01-31 12:10:00 UTC",
            "2026-01-31 12:10:00 GMT",
            "2026-01-31T12:10:00",
            "2026-01-31 12:10:00.0",
            "2026-01-31T12:10Z",
            "2026-01-31T12:10",
            "20260131T121000Z",
            "20260131T121000",
            "\"2026-01-31T12:10:00Z\"",
        ] {
            let wait = of(line).unwrap_or_else(|| panic!("{line} is not read"));
            assert!((600.0..600.1).contains(&wait), "{line}: {wait}");
        }
        for (line, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
            ("2026-01-31", 0.0),
            ("0001-01-01T00:00:00Z", 0.0),
            ("2026-02-01", MAX_S),
            ("9999-12-31T23:59:59Z", MAX_S),
            ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_S),
        ] {
            assert_eq!(of(line), Some(seconds), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_read_asks_for_nothing() {
        for line in [
            "",
            " ",
            "soon",
            "NaN",
            "inf",
            "-infinity",
            "1_000",
            "0x10",
            "s",
            "e",
            ".",
            "-",
            "1.2.3",
            "12:30",
            "Sat, 31 Feb 2026 12:10:00 GMT",
            "2026-13-01T00:00:00Z",
            ",",
            "null",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
        assert_eq!(read(&HeaderMap::new(), now()), None);
    }

    #[test]
    fn of_several_lines_the_longest_wait_counts() {
        assert_eq!(of_lines(&["10", "90", "soon", "30"]), Some(90.0));
        assert_eq!(
            of_lines(&["soon", "2026-01-31T12:10:00Z", "1"]),
            Some(600.0)
        );
    }

    #[test]
    fn a_date_is_compared_with_the_clock_of_who_wrote_it() {
        let mut headers = HeaderMap::new();
        let at = |text| HeaderValue::from_static(text);
        headers.insert(DATE, at("Mon, 01 Jan 2001 00:00:00 GMT"));
        headers.insert(RETRY_AFTER, at("Mon, 01 Jan 2001 00:02:00 GMT"));
        assert_eq!(read(&headers, now()), Some(TimeDelta::seconds(120)));
        headers.insert(DATE, at("lately"));
        assert_eq!(read(&headers, now()), Some(TimeDelta::zero()));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it_and_no_wait_leaves_its_bounds(line in "[ -~]{0,40}") {
            if let Some(wait) = of(&line) {
                prop_assert!((0.0..=MAX_S).contains(&wait), "{wait}");
            }
        }

        #[test]
        fn every_number_is_a_wait(number in any::<f64>().prop_filter("a number", |n| n.is_finite())) {
            for line in [format!("{number}"), format!("{number:e}")] {
                let wait = of(&line).unwrap();
                prop_assert!((wait - number.clamp(0.0, MAX_S)).abs() < 1e-6, "{line}: {wait}");
            }
        }

        #[test]
        fn every_time_is_a_wait(seconds in -62_000_000_000_i64..200_000_000_000) {
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            let wait = of(&at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
            let expected = (at - now()).num_seconds().clamp(0, 3600);
            prop_assert_eq!(wait, Some(expected as f64));
        }
    }
}
