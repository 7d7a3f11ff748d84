//! Address of the client behind a request, determined in one place for the log-in throttle, the audit log and
//! the logs.
//!
//! Behind a proxy the peer is the proxy, which names its own peer in `X-Forwarded-For` or `Forwarded` (RFC
//! 7239). Only entries of trusted proxies are used: the lists are read from their end, to which the nearest
//! proxy appends, for as long as the named address is itself a trusted proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use poem::{
    FromRequest, Request, RequestBody, Result,
    http::{HeaderMap, header::FORWARDED, uri::Scheme},
};

use crate::{config::Networks, error::Error};

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Address of the client, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client(pub IpAddr);

impl Client {
    /// Determines the client of a request.
    pub fn find(request: &Request, trusted: &Networks) -> Self {
        let peer = peer(request);
        Self(peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| {
            behind(peer, request.headers(), trusted)
        }))
    }

    /// Returns the client that was determined when the request arrived.
    pub fn of(request: &Request) -> Result<Self, Error> {
        let found: Option<&Self> = request.data();
        found
            .copied()
            .ok_or_else(|| Error::internal("a request without its client's address"))
    }
}

impl<'a> FromRequest<'a> for Client {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Ok(Self::of(request)?)
    }
}

/// True if the request was encrypted: it came over TLS, or a trusted proxy reports that it received it over
/// TLS.
pub fn is_secure(request: &Request, trusted: &Networks) -> bool {
    let proto = || last_in(request.headers(), X_FORWARDED_PROTO);
    *request.scheme() == Scheme::HTTPS
        || (peer(request).is_some_and(|peer| trusted.contain(peer))
            && proto().is_some_and(|proto| proto.eq_ignore_ascii_case("https")))
}

fn peer(request: &Request) -> Option<IpAddr> {
    let address = request.remote_addr().as_socket_addr()?;
    Some(address.ip().to_canonical())
}

/// Returns the client on whose behalf a peer sends. If both headers are present and name different clients, the
/// proxy has passed one of them on without writing it, and it is unknown which: then both are ignored.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    if !trusted.contain(peer) {
        return peer;
    }
    let walked = |name: &str, read: fn(&str) -> Option<IpAddr>| {
        let list = joined(headers, name)?;
        Some(walk(peer, &list, read, trusted))
    };
    let found = (
        walked(X_FORWARDED_FOR, address_in_list),
        walked(FORWARDED.as_str(), address_in_element),
    );
    match found {
        (Some(one), Some(other)) if one != other => peer,
        (Some(client), _) | (None, Some(client)) => client,
        (None, None) => peer,
    }
}

/// Follows the proxies from the end of the list to the first address that is not a trusted proxy. Stops at an
/// entry without an address, and returns the last known one.
fn walk(peer: IpAddr, list: &str, read: fn(&str) -> Option<IpAddr>, trusted: &Networks) -> IpAddr {
    let mut nearest = peer;
    for entry in list.rsplit(',') {
        let Some(address) = read(entry.trim()) else {
            break;
        };
        nearest = address.to_canonical();
        if !trusted.contain(nearest) {
            break;
        }
    }
    nearest
}

/// Joins the lines of a header to one list.
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(name).iter();
    let lines: Vec<_> = lines
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// Returns the last value of a header, which the nearest proxy has written.
fn last_in(headers: &HeaderMap, name: &str) -> Option<String> {
    let list = joined(headers, name)?;
    Some(list.rsplit(',').next()?.trim().to_owned())
}

/// Parses an entry of `X-Forwarded-For`: an address with or without a port.
fn address_in_list(entry: &str) -> Option<IpAddr> {
    let in_brackets = || entry.strip_prefix('[')?.strip_suffix(']');
    let address = entry.parse().ok();
    address
        .or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()))
        .or_else(|| Some(in_brackets()?.parse::<Ipv6Addr>().ok()?.into()))
}

/// Parses an element of `Forwarded`. An `unknown` or obfuscated element has no address.
fn address_in_element(element: &str) -> Option<IpAddr> {
    let element = rfc7239::parse(element).next()?.ok()?;
    element.forwarded_for?.ip().copied()
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderName, HeaderValue};

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn found(peer: &str, lines: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted = ["10.0.0.0/8", "fd00::/8", "192.0.2.7/32"];
        let trusted = Networks(trusted.map(|network| network.parse().unwrap()).to_vec());
        behind(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let spoofed = [("X-Forwarded-For", "198.51.100.1")];
        assert_eq!(found("203.0.113.9", &spoofed), "203.0.113.9");
        assert_eq!(found(PROXY, &spoofed), "198.51.100.1");
        assert_eq!(found(PROXY, &[]), PROXY);
        assert_eq!(found(PROXY, &[("X-Forwarded-For", "")]), PROXY);
    }

    #[test]
    fn lists_are_read_from_their_end() {
        for (list, client) in [
            ("6.6.6.6, 198.51.100.1", "198.51.100.1"),
            ("6.6.6.6, 198.51.100.1, 10.2.3.4", "198.51.100.1"),
            ("6.6.6.6,198.51.100.1,192.0.2.7, fd00::5", "198.51.100.1"),
            // A client within the trusted networks is reported as it is.
            ("10.9.9.9", "10.9.9.9"),
            ("10.9.9.9, 10.2.3.4", "10.9.9.9"),
            // An unreadable entry ends the walk at the last known address.
            ("6.6.6.6, unknown", PROXY),
            ("6.6.6.6, nonsense, 10.2.3.4", "10.2.3.4"),
            ("6.6.6.6, , 10.2.3.4", "10.2.3.4"),
            ("6.6.6.6, _hidden, 10.2.3.4", "10.2.3.4"),
            ("198.51.100.1:8080", "198.51.100.1"),
            ("[2001:db8::1]:8080", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("6.6.6.6, ::ffff:10.2.3.4", "6.6.6.6"),
            ("[198.51.100.1]", PROXY),
            ("fe80::1%eth0", PROXY),
            ("198.51.100.1:99999", PROXY),
        ] {
            assert_eq!(found(PROXY, &[("X-Forwarded-For", list)]), client, "{list}");
        }
        let lines = [
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-Forwarded-For", "198.51.100.1"),
            ("X-Forwarded-For", "10.2.3.4"),
        ];
        assert_eq!(found(PROXY, &lines), "198.51.100.1");
    }

    #[test]
    fn forwarded_is_read_as_well() {
        for (list, client) in [
            ("for=198.51.100.1", "198.51.100.1"),
            (
                "For=\"198.51.100.1:4711\";proto=https;by=10.0.0.1",
                "198.51.100.1",
            ),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            (
                "for=6.6.6.6, for=198.51.100.1;proto=http, for=10.2.3.4",
                "198.51.100.1",
            ),
            ("for=\"[::ffff:198.51.100.1]\"", "198.51.100.1"),
            ("for=6.6.6.6, for=unknown", PROXY),
            ("for=6.6.6.6, for=_hidden, for=10.2.3.4", "10.2.3.4"),
            ("for=6.6.6.6, proto=https", PROXY),
            ("for=6.6.6.6, nonsense", PROXY),
            // An unclosed quote of the client does not hide the element that the proxy appends.
            ("for=\"6.6.6.6, for=198.51.100.1", "198.51.100.1"),
        ] {
            assert_eq!(found(PROXY, &[("Forwarded", list)]), client, "{list}");
        }
    }

    #[test]
    fn headers_that_contradict_each_other_are_not_believed() {
        let both = |forwarded| {
            let lines = [
                ("X-Forwarded-For", "198.51.100.1"),
                ("Forwarded", forwarded),
            ];
            found(PROXY, &lines)
        };
        assert_eq!(both("for=198.51.100.1"), "198.51.100.1");
        assert_eq!(both("for=6.6.6.6"), PROXY);
        assert_eq!(both("for=unknown"), PROXY);
    }
}
