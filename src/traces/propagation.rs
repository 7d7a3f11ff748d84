//! The header `traceparent` of W3C Trace Context, by which a trace goes on in another program.
//!
//! `tracestate` is neither read nor sent: it may hold data of a client, which receivers of deliveries must not get.

use hyper::HeaderMap;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Name of the header.
pub const HEADER: &str = "traceparent";
/// Length of a header of version 00. Later versions may append members, after a hyphen.
const LENGTH: usize = 55;

/// Returns the caller's span, if the request names exactly one and in the valid form.
pub(super) fn caller(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all(HEADER).iter();
    let value = values.next()?;
    match values.next() {
        Some(_) => None,
        None => read(value.as_bytes()),
    }
}

fn read(value: &[u8]) -> Option<SpanContext> {
    let (known, more) = value.split_at_checked(LENGTH)?;
    let mut members = known.split(|byte| *byte == b'-');
    let version = hex(members.next()?, 2)?;
    let trace = hex(members.next()?, 32)?;
    let span = hex(members.next()?, 16)?;
    let flags = hex(members.next()?, 2)?;
    let is_readable = match version {
        0 => more.is_empty(),
        0xff => false,
        _ => more.first().is_none_or(|byte| *byte == b'-'),
    };
    let context = SpanContext::new(
        TraceId::from_bytes(trace.to_be_bytes()),
        SpanId::from_bytes(u64::try_from(span).ok()?.to_be_bytes()),
        TraceFlags::new(u8::try_from(flags).ok()?) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    (is_readable && members.next().is_none() && context.is_valid()).then_some(context)
}

/// Reads a number of so many hexadecimal digits, which must be lowercase.
fn hex(digits: &[u8], length: usize) -> Option<u128> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != length || !digits.iter().all(is_digit) {
        return None;
    }
    u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Returns the header for requests within the current span; `None` if nothing is traced.
pub fn traceparent() -> Option<String> {
    let span = Span::current();
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| {
        let flags = context.trace_flags().to_u8();
        format!(
            "00-{}-{}-{flags:02x}",
            context.trace_id(),
            context.span_id()
        )
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn valid_headers_are_read() {
        for (value, is_sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-03"), true),
            (format!("cc-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes"), true),
        ] {
            let context = read(value.as_bytes()).unwrap_or_else(|| panic!("{value}"));
            assert_eq!(context.trace_id().to_string(), TRACE);
            assert_eq!(context.span_id().to_string(), SPAN);
            assert_eq!(context.is_sampled(), is_sampled, "{value}");
            assert!(context.is_remote());
        }
    }

    #[test]
    fn invalid_headers_are_ignored() {
        let zero = "0".repeat(32);
        for value in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("cc-{TRACE}-{SPAN}-01.what-comes"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-0{TRACE}-{SPAN}-01"),
            format!("00-{zero}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("00-{TRACE}_{SPAN}-01"),
        ] {
            assert!(read(value.as_bytes()).is_none(), "{value}");
        }
        let mut headers = HeaderMap::new();
        assert!(caller(&headers).is_none());
        let value = HeaderValue::try_from(format!("00-{TRACE}-{SPAN}-01")).unwrap();
        headers.append(HEADER, value.clone());
        assert!(caller(&headers).is_some());
        headers.append(HEADER, value);
        assert!(caller(&headers).is_none());
    }
}
