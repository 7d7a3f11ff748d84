//! Host of a request. Exactly one is required, so that no proxy takes the request for another host than the hub
//! does.

use poem::{
    Request,
    http::{Version, header::HOST, uri::Authority},
};

use crate::error::Error;

const FIELD: &str = "header Host";

/// Returns the host of a request in lower case and without its port; empty if HTTP/1.0 omits it. Fails if the
/// request names no host, several hosts or an invalid one (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
pub fn of(request: &Request) -> Result<String, Error> {
    let mut headers = request.headers().get_all(HOST).iter();
    let header = headers.next();
    if headers.next().is_some() {
        return Err(Error::field(FIELD, "must not be repeated"));
    }
    let header = header.map(|value| read(value.as_bytes())).transpose()?;
    // HTTP/2 sends `:authority`; HTTP/1 may send a URL in place of the path, which takes precedence over the
    // header.
    let target = request.uri().authority();
    let target = target
        .map(|target| read(target.as_str().as_bytes()))
        .transpose()?;
    let named = match (request.version(), header, target) {
        (Version::HTTP_2, Some(header), Some(target)) if plain(&header) != plain(&target) => {
            return Err(Error::field(FIELD, "must be the same as :authority"));
        }
        (Version::HTTP_11, None, _) | (Version::HTTP_2, None, None) => {
            return Err(Error::field(FIELD, "is required"));
        }
        (_, header, target) => target.or(header),
    };
    Ok(named.map_or(String::new(), |named| named.host().to_ascii_lowercase()))
}

fn read(text: &[u8]) -> Result<Authority, Error> {
    let read = Authority::try_from(text).ok();
    let read = read.filter(|read| !read.host().is_empty() && !read.as_str().contains('@'));
    read.ok_or_else(|| Error::field(FIELD, "must be a host, with or without a port"))
}

/// Normalizes a host for comparison: lower case, without the default port.
fn plain(authority: &Authority) -> String {
    let text = authority.as_str().to_ascii_lowercase();
    text.strip_suffix(":443").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use poem::http::Uri;

    use super::*;

    fn named(version: Version, uri: &str, hosts: &[&str]) -> Result<String, String> {
        let mut request = Request::builder()
            .version(version)
            .uri(uri.parse::<Uri>().unwrap());
        for host in hosts {
            request = request.header(HOST, *host);
        }
        of(&request.finish()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_names_one_host() {
        for (version, uri, hosts, expected) in [
            (
                Version::HTTP_11,
                "/a",
                &["Hub.Example:8443"][..],
                "hub.example",
            ),
            (Version::HTTP_11, "/a", &["[::1]:8443"], "[::1]"),
            (
                Version::HTTP_11,
                "https://hub.example/a",
                &["other.example"],
                "hub.example",
            ),
            (Version::HTTP_10, "/a", &[], ""),
            (Version::HTTP_2, "https://hub.example/a", &[], "hub.example"),
            (
                Version::HTTP_2,
                "https://hub.example:443/a",
                &["HUB.example"],
                "hub.example",
            ),
            (Version::HTTP_2, "/a", &["hub.example"], "hub.example"),
        ] {
            let found = named(version, uri, hosts);
            assert_eq!(
                found.as_deref(),
                Ok(expected),
                "{version:?} {uri} {hosts:?}"
            );
        }
    }

    #[test]
    fn a_request_that_names_none_or_several_is_refused() {
        for (version, uri, hosts, rule) in [
            (Version::HTTP_11, "/a", &[][..], "is required"),
            (
                Version::HTTP_11,
                "https://hub.example/a",
                &[],
                "is required",
            ),
            (Version::HTTP_2, "/a", &[], "is required"),
            (
                Version::HTTP_11,
                "/a",
                &["a.example", "a.example"],
                "must not be repeated",
            ),
            (
                Version::HTTP_10,
                "/a",
                &["a.example", "b.example"],
                "must not be repeated",
            ),
            (
                Version::HTTP_2,
                "https://a.example/a",
                &["b.example"],
                "must be the same as :authority",
            ),
            (
                Version::HTTP_2,
                "https://a.example/a",
                &["a.example:8443"],
                "must be the same as :authority",
            ),
            (Version::HTTP_11, "/a", &[""], "must be a host"),
            (Version::HTTP_11, "/a", &["a b"], "must be a host"),
            (
                Version::HTTP_11,
                "/a",
                &["user@a.example"],
                "must be a host",
            ),
            (
                Version::HTTP_11,
                "/a",
                &["a.example/path"],
                "must be a host",
            ),
            (
                Version::HTTP_11,
                "/a",
                &["a.example, b.example"],
                "must be a host",
            ),
        ] {
            let error = named(version, uri, hosts).unwrap_err();
            let expected = format!("{FIELD}: {rule}");
            assert!(
                error.starts_with(&expected),
                "{version:?} {uri} {hosts:?}: {error}"
            );
        }
    }
}
