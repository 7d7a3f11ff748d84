//! Path suffixes that a network server appends to its configured URL.
//!
//! Such a server is configured with one URL and posts to several paths below it. All of them stand for the
//! ingest URL.

use poem::{Request, http::Uri};

use crate::networks;

/// Removes the suffix from an ingest request.
pub fn take_off(request: &mut Request) {
    if let Some(uri) = without(request.uri()) {
        *request.uri_mut() = uri;
    }
}

fn without(uri: &Uri) -> Option<Uri> {
    let (ingest, appended) = uri.path().trim_end_matches('/').rsplit_once('/')?;
    let connection = ingest
        .strip_prefix("/api/v3/network-connections/")?
        .strip_suffix("/uplinks")?;
    if connection.contains('/') || !networks::appended_paths().any(|path| path == appended) {
        return None;
    }
    let path = match uri.query() {
        Some(query) => format!("{ingest}?{query}"),
        None => ingest.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_network_server_appends_is_taken_off() {
        let read = |text: &'static str| without(&Uri::from_static(text)).map(|uri| uri.to_string());
        let ingest = "https://hub/api/v3/network-connections/7/uplinks";
        let taken_off = read("https://hub/api/v3/network-connections/7/uplinks/dataUp");
        assert_eq!(taken_off.as_deref(), Some(ingest));
        let kept = read("https://hub/api/v3/network-connections/7/uplinks/dataDownEvent/?a=b");
        assert_eq!(kept, Some(format!("{ingest}?a=b")));
        for other in [
            "https://hub/api/v3/network-connections/7/uplinks",
            "https://hub/api/v3/network-connections/7/uplinks/more",
            "https://hub/api/v3/devices/7/uplinks/dataUp",
            "https://hub/api/v3/network-connections/7/x/uplinks/dataUp",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
