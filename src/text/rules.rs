//! Checks of the kinds of text.

use base64::{Engine, engine::general_purpose::STANDARD};

pub fn is_line(text: &str) -> bool {
    !text.chars().any(|c| c < ' ' || c == '\u{7f}')
}

/// True if a topic may contain the text: brokers also reject the control characters beyond ASCII.
pub fn is_in_topic(text: &str) -> bool {
    !text.contains(char::is_control)
}

pub fn is_prose(text: &str) -> bool {
    !text
        .chars()
        .any(|c| (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || c == '\u{7f}')
}

pub fn is_slug(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let end = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    end(bytes.first()) && end(bytes.last()) && bytes.iter().all(|&b| inner(b))
}

pub fn is_label(text: &str) -> bool {
    let body = |c: char| c.is_alphanumeric() || "-_.:=/".contains(c);
    text.chars().all(|c| body(c) || c == ' ') && !text.starts_with(' ') && !text.ends_with(' ')
}

pub fn is_device_label(text: &str) -> bool {
    let is_apart = |part: &str| !part.starts_with(' ') && !part.ends_with(' ');
    is_label(text) && !text.starts_with('=') && text.split([':', '=']).all(is_apart)
}

pub fn is_username(text: &str) -> bool {
    let body = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    text.chars().all(|c| body(c) || c == ' ') && !text.starts_with(' ') && !text.ends_with(' ')
}

pub fn is_email(text: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.chars().all(|c| c > ' ' && c != '\u{7f}' && c != '@');
    text.is_empty()
        || text
            .split_once('@')
            .is_some_and(|(name, host)| part(name) && part(host))
}

/// Excludes headers that the hub sets, and those that belong to a single connection (RFC 9110, 7.6.1).
pub fn is_free_header(text: &str) -> bool {
    const TAKEN: [&str; 13] = [
        "authorization",
        "connection",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ];
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&b);
    let name = text.to_ascii_lowercase();
    text.bytes().all(token)
        && !TAKEN.contains(&&*name)
        && !name.starts_with("content-")
        && !name.starts_with("webhook-")
}

pub fn is_signing_secret(text: &str) -> bool {
    text.strip_prefix("whsec_")
        .and_then(|text| STANDARD.decode(text).ok())
        .is_some_and(|bytes| (24..=64).contains(&bytes.len()))
}

pub fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
        !text.is_empty() && text.bytes().all(inner)
    };
    let kind = text.split(';').next().unwrap_or_default();
    let parameter = &text[kind.len()..];
    let (main, sub) = kind.split_once('/').unwrap_or_default();
    let plain = matches!(parameter, "" | ";charset=utf-8" | "; charset=utf-8");
    token(main) && token(sub) && plain
}

pub fn is_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b":.[]_-".contains(&b);
    text.bytes().all(plain) && url::Host::parse(text).is_ok()
}

pub fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_number = port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
        is_host(host) && is_number && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// The certificates are only parsed when they are used.
pub fn is_certificates(text: &str) -> bool {
    text.contains("-----BEGIN CERTIFICATE-----") && !text.contains('\0')
}

pub fn is_private_key(text: &str) -> bool {
    let is_label = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ';
    let mut begins = text.split("-----BEGIN ").skip(1);
    begins.any(|rest| {
        let label = rest.split_once("PRIVATE KEY-----").map(|(label, _)| label);
        label.is_some_and(|label| label.bytes().all(is_label))
    }) && !text.contains('\0')
}

pub fn is_http_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    // A URL is shown to everybody who may see the resource, so it must not contain a password.
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| !authority.is_empty() && !authority.contains('@'))
        && !text.chars().any(|c| c <= ' ' || c == '\u{7f}')
        && url::Url::parse(text)
            .is_ok_and(|url| url.host_str().is_some_and(|host| !host.is_empty()))
}

pub fn is_broker_url(text: &str) -> bool {
    let rest = text.split_once("://");
    rest.is_some_and(|(scheme, rest)| {
        matches!(scheme, "mqtt" | "mqtts" | "ws" | "wss") && !rest.is_empty()
    }) && !text.chars().any(|c| c <= ' ' || c == '\u{7f}')
}
