//! Static files as responses: compressed once, and cached by clients for as long as their URLs allow.
//!
//! No response is a 304, which is not one of the documented status codes. Large files therefore have URLs that
//! contain a hash of their content: a client never requests them twice. Pages are small and fetched anew.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use poem::{
    Request, Response,
    http::{HeaderValue, header},
};

use crate::api::http::{compression::takes_gzip, edge::IsCacheable};

/// Files of fewer bytes are not compressed, because they fit into one packet.
const COMPRESSED_MIN: usize = 1024;

/// Time for which clients may keep a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// The URL stays and the content changes with the hub's version and settings: fetched anew for each use.
    Revalidated,
    /// The URL contains a hash of the content: kept for ever.
    Immutable,
}

impl Caching {
    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Revalidated => "no-cache",
            Self::Immutable => "public, max-age=31536000, immutable",
        })
    }
}

/// A file that is the same for all clients and needs no authentication.
#[derive(Clone)]
pub struct File {
    content_type: &'static str,
    caching: Caching,
    /// `Content-Security-Policy` of a page.
    policy: Option<&'static str>,
    plain: Bytes,
    /// The content in gzip; `None` if that is not smaller.
    gzip: Option<Bytes>,
}

impl File {
    /// Compresses a file, which takes a while for large ones.
    pub fn new(content_type: &'static str, caching: Caching, content: impl Into<Bytes>) -> Self {
        let plain = content.into();
        Self {
            content_type,
            caching,
            policy: None,
            gzip: compressed(&plain),
            plain,
        }
    }

    /// Returns an HTML page with this policy.
    pub fn page(policy: &'static str, html: impl Into<Bytes>) -> Self {
        Self {
            policy: Some(policy),
            ..Self::new("text/html; charset=utf-8", Caching::Revalidated, html)
        }
    }

    /// Returns the number of uncompressed bytes.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.plain.len()
    }

    /// Returns the response to a request for this file.
    pub fn respond(&self, request: &Request) -> Response {
        let (body, encoding) = match &self.gzip {
            Some(gzip) if takes_gzip(request.headers()) => (gzip, Some("gzip")),
            _ => (&self.plain, None),
        };
        let mut response = Response::builder()
            .content_type(self.content_type)
            .body(body.clone());
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, self.caching.header());
        if self.gzip.is_some() {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if let Some(encoding) = encoding {
            let encoding = HeaderValue::from_static(encoding);
            headers.insert(header::CONTENT_ENCODING, encoding);
        }
        if let Some(policy) = self.policy {
            let policy = HeaderValue::from_static(policy);
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response.set_data(IsCacheable);
        response
    }
}

fn compressed(plain: &[u8]) -> Option<Bytes> {
    if plain.len() < COMPRESSED_MIN {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).ok()?;
    let gzip = encoder.finish().ok()?;
    (gzip.len() < plain.len()).then(|| gzip.into())
}

#[cfg(test)]
mod tests {
    use sha2::Digest;

    use super::*;

    #[test]
    fn gzip_is_sent_to_clients_that_accept_it() {
        for (values, expected) in [
            (&[][..], false),
            (&["gzip"], true),
            (&["br, GZIP;q=0.5"], true),
            (&["br", "gzip"], true),
            (&["gzip;q=0"], false),
            (&["gzip; q=0.000"], false),
            (&["br, deflate"], false),
            (&["*"], false),
        ] {
            let request = values.iter().fold(Request::builder(), |request, value| {
                request.header(header::ACCEPT_ENCODING, *value)
            });
            assert_eq!(
                takes_gzip(request.finish().headers()),
                expected,
                "{values:?}"
            );
        }
    }

    #[test]
    fn small_files_and_files_that_do_not_shrink_stay_plain() {
        assert!(compressed(b"small").is_none());
        assert!(compressed(&[b' '; 2 * COMPRESSED_MIN]).is_some());
        let noise: Vec<u8> = (0..4096_u32)
            .flat_map(|number| sha2::Sha256::digest(number.to_le_bytes()))
            .collect();
        assert!(compressed(&noise).is_none());
    }
}
