//! Compression that clients accept.

use poem::http::{HeaderMap, header};

/// Returns true if the client accepts gzip (RFC 9110, 12.5.3). A coding that the header does not name is not
/// accepted.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|coding| coding.split_once(';').unwrap_or((coding, "")))
        .find(|(coding, _)| coding.trim().eq_ignore_ascii_case("gzip"))
        .is_some_and(|(_, weight)| !is_zero(weight))
}

/// Returns true for `q=0`, in any of the forms that it can be written in.
fn is_zero(weight: &str) -> bool {
    let Some((name, value)) = weight.split_once('=') else {
        return false;
    };
    name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f64>() == Ok(0.0)
}
