//! The settings of a connection to a cluster.

use std::{fmt, sync::Arc};

use serde::Deserialize;
use tokio_rustls::rustls::ClientConfig;
use url::Host;

use crate::outgoing::HeavyWork;

/// The longest name of a host (RFC 1035, 2.3.4).
const HOST_MAX_BYTES: usize = 255;

/// A cluster of brokers.
pub struct Cluster {
    /// Bootstrap brokers, in the order in which they are tried.
    pub bootstrap: Vec<Address>,
    /// The configuration of TLS, if connections are encrypted.
    pub tls: Option<Arc<ClientConfig>>,
    /// The login, if there is one.
    pub login: Option<Login>,
    /// Limits the expensive work for its brokers: proofs of passwords and long responses.
    pub heavy: HeavyWork,
}

/// A login: mechanism, user and password.
#[derive(Clone)]
pub struct Login {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// The user.
    pub username: String,
    /// Password of the user.
    pub password: String,
}

/// The mechanisms of SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Mechanism {
    /// PLAIN: the password itself is sent (RFC 4616).
    #[serde(rename = "plain")]
    Plain,
    /// SCRAM with SHA-256: both sides prove that they know the password (RFC 7677).
    #[serde(rename = "scram_sha_256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[serde(rename = "scram_sha_512")]
    ScramSha512,
}

impl Mechanism {
    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Host and port of a broker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Its name or address.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
}

impl Address {
    /// Reads `host:port`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let broken = || format!("{text} is not host:port");
        let (host, port) = text.rsplit_once(':').ok_or_else(broken)?;
        Self::new(host, port.parse().map_err(|_| broken())?)
    }

    /// A host, as brokers advertise themselves, and its port.
    pub fn new(host: &str, port: u16) -> Result<Self, String> {
        // The time to parse a name grows faster than its length.
        if host.len() > HOST_MAX_BYTES {
            return Err("the host's name is too long".to_owned());
        }
        // An address of IPv6 is advertised without the brackets that URLs have.
        let bracketed = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        let host = Host::parse(&bracketed).map_err(|_| format!("{host} is no name of a host"))?;
        Ok(Self { host, port })
    }

    /// Bytes on the heap.
    pub fn size(&self) -> usize {
        match &self.host {
            Host::Domain(name) => name.len(),
            Host::Ipv4(_) | Host::Ipv6(_) => 0,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["kafka.example.com:9092", "10.0.0.1:1", "[::1]:65535"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Address::new("fd00::1", 9092).unwrap().to_string(),
            "[fd00::1]:9092"
        );
        for text in ["kafka", "kafka:", ":9092", "kafka:65536", "a b:1"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
