//! The guard against server-side request forgery: restricts the targets of connections that users configure.
//!
//! Addresses are checked after names are resolved, and the connection goes to exactly the address that was
//! checked. Allowed are public addresses that do not belong to this machine, and the networks that the
//! operator has allowed.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::Host;

use super::{lookups::Lookups, own_addresses::OwnAddresses};

/// IPv4 networks that are not the public internet (IANA special-purpose registry), and the address at
/// which Azure answers its virtual machines.
const SPECIAL_V4: [Ipv4Net; 16] = [
    net4([0, 0, 0, 0], 8),
    net4([10, 0, 0, 0], 8),
    net4([100, 64, 0, 0], 10),
    net4([127, 0, 0, 0], 8),
    net4([168, 63, 129, 16], 32),
    net4([169, 254, 0, 0], 16),
    net4([172, 16, 0, 0], 12),
    net4([192, 0, 0, 0], 24),
    net4([192, 0, 2, 0], 24),
    net4([192, 88, 99, 0], 24),
    net4([192, 168, 0, 0], 16),
    net4([198, 18, 0, 0], 15),
    net4([198, 51, 100, 0], 24),
    net4([203, 0, 113, 0], 24),
    net4([224, 0, 0, 0], 4),
    net4([240, 0, 0, 0], 4),
];

/// The IPv6 network of public unicast addresses; all else is special.
const GLOBAL_V6: Ipv6Net = net6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
/// Special networks inside it: Teredo, documentation, 6to4.
const SPECIAL_V6: [Ipv6Net; 4] = [
    net6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    net6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    net6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    net6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

const fn net4(octets: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(
        Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]),
        length,
    )
}

const fn net6(s: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(
        Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]),
        length,
    )
}

/// Decides which targets are allowed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard {
    allowed: Arc<[IpNet]>,
    own: OwnAddresses,
    lookups: Lookups,
    /// Tenant on whose behalf requests are made: its limit applies to lookups of names.
    tenant: Option<i64>,
}

impl Guard {
    /// Creates a guard that allows public addresses and these networks.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self {
            allowed: allowed.into(),
            own: OwnAddresses::default(),
            lookups: Lookups::default(),
            tenant: None,
        }
    }

    /// Returns the guard for the requests of a tenant.
    #[must_use]
    pub fn of(&self, tenant: i64) -> Self {
        Self {
            tenant: Some(tenant),
            ..self.clone()
        }
    }

    /// Rejects an address that is not allowed.
    pub fn check(&self, address: IpAddr) -> Result<(), String> {
        let canonical = address.to_canonical();
        if self
            .allowed
            .iter()
            .any(|network| network.contains(&canonical))
        {
            return Ok(());
        }
        if !is_public(address) {
            return Err(refusal("is not public"));
        }
        // Services that listen on all addresses take what comes from here for their own.
        match self.own.contain(address)? {
            true => Err(refusal("is this machine's own")),
            false => Ok(()),
        }
    }

    /// Returns the allowed addresses of a host, in the order in which to try them. Connect to one of these
    /// and do not resolve the name again.
    pub async fn addresses(&self, host: &Host<&str>, port: u16) -> Result<Vec<SocketAddr>, String> {
        let found: Arc<[IpAddr]> = match host {
            Host::Ipv4(address) => Arc::new([IpAddr::V4(*address)]),
            Host::Ipv6(address) => Arc::new([IpAddr::V6(*address)]),
            Host::Domain(name) => self.lookups.find(self.tenant, name).await?,
        };
        let mut admitted = Vec::new();
        let mut refused = None;
        for address in found.iter() {
            match self.check(*address) {
                Ok(()) => admitted.push(SocketAddr::new(*address, port)),
                Err(error) => refused = Some(error),
            }
        }
        if admitted.is_empty() {
            return Err(refused.unwrap_or_else(|| "the name has no address".to_owned()));
        }
        Ok(admitted)
    }

    /// Rejects a host that is a forbidden address, or `localhost`; other names are checked when they are resolved.
    pub fn check_host(&self, host: &str) -> Result<(), String> {
        match Host::parse(host) {
            Ok(Host::Ipv4(address)) => self.check(address.into()),
            Ok(Host::Ipv6(address)) => self.check(address.into()),
            Ok(Host::Domain(name)) if is_localhost(&name) => self
                .check(Ipv4Addr::LOCALHOST.into())
                .or_else(|_| self.check(Ipv6Addr::LOCALHOST.into())),
            // A text that is no host at all breaks another rule.
            Ok(Host::Domain(_)) | Err(_) => Ok(()),
        }
    }

    /// Rejects a URL whose host is a forbidden address; names are checked when they are resolved.
    pub fn check_url(&self, url: &url::Url) -> Result<(), String> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(address.into()),
            Some(Host::Ipv6(address)) => self.check(address.into()),
            Some(Host::Domain(_)) => Ok(()),
            None => Err("the URL has no host".to_owned()),
        }
    }
}

/// Returns the host of a URL as it is written there.
pub fn host_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    url.host_str().map(ToOwned::to_owned)
}

/// True for the names that always stand for this machine (RFC 6761, 6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn refusal(why: &str) -> String {
    format!("the address {why}, and the setting outgoing_allow does not name its network")
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address)
                && !SPECIAL_V6.iter().any(|network| network.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_and_allowed_networks_pass() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        for (address, admitted) in [
            ("8.8.8.8", true),
            ("2606:4700::1", true),
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("10.1.2.3", false),
            ("169.254.169.254", false),
            ("168.63.129.16", false),
            ("168.63.129.17", true),
            ("::ffff:169.254.169.254", false),
            ("0.0.0.0", false),
            ("100.64.0.1", false),
            ("::1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("64:ff9b::a00:1", false),
            ("2002:a00:1::", false),
        ] {
            assert_eq!(
                guard.check(address.parse().unwrap()).is_ok(),
                admitted,
                "{address}"
            );
        }
    }

    /// The networks that the documentation lists.
    fn documented() -> Vec<IpNet> {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/integrations.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, table) = page.split_once("## Refused networks").unwrap();
        let cells = table.lines().filter_map(|line| line.strip_prefix("| `"));
        let networks = cells.map(|cell| cell.split_once('`').unwrap().0.parse().unwrap());
        networks.collect()
    }

    fn neighbours(network: &IpNet) -> [Option<IpAddr>; 2] {
        match network {
            IpNet::V4(network) => {
                let (first, last) = (u32::from(network.network()), u32::from(network.broadcast()));
                [first.checked_sub(1), last.checked_add(1)]
                    .map(|it| Some(Ipv4Addr::from(it?).into()))
            }
            IpNet::V6(network) => {
                let (first, last) = (
                    u128::from(network.network()),
                    u128::from(network.broadcast()),
                );
                [first.checked_sub(1), last.checked_add(1)]
                    .map(|it| Some(Ipv6Addr::from(it?).into()))
            }
        }
    }

    #[test]
    fn exactly_the_documented_networks_are_refused() {
        let guard = Guard::new(Vec::new());
        let documented = documented();
        assert_eq!(documented.len(), SPECIAL_V4.len() + SPECIAL_V6.len());
        let unicast: Ipv6Net = "2000::/3".parse().unwrap();
        let is_refused = |address: IpAddr| {
            let is_outside = matches!(address, IpAddr::V6(address) if !unicast.contains(&address));
            is_outside || documented.iter().any(|network| network.contains(&address))
        };
        for network in &documented {
            for address in [network.network(), network.broadcast()] {
                assert!(guard.check(address).is_err(), "{address} of {network}");
                if let IpAddr::V4(address) = address {
                    let mapped = IpAddr::V6(address.to_ipv6_mapped());
                    assert!(guard.check(mapped).is_err(), "{mapped} of {network}");
                }
            }
            for address in neighbours(network).into_iter().flatten() {
                let outcome = guard.check(address);
                assert_eq!(
                    outcome.is_err(),
                    is_refused(address),
                    "{address}: {outcome:?}"
                );
            }
            let allows_it = Guard::new(vec![*network]);
            assert_eq!(allows_it.check(network.network()), Ok(()), "{network}");
            assert_eq!(allows_it.check(network.broadcast()), Ok(()), "{network}");
        }
        for address in [
            "1fff:ffff::1",
            "4000::",
            "::",
            "::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(guard.check(address.parse().unwrap()).is_err(), "{address}");
        }
    }

    #[test]
    fn hosts_are_checked_without_a_look_up() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        for (host, admitted) in [
            ("127.1", true),
            ("localhost", true),
            ("example.com", true),
            ("nowhere.invalid", true),
            ("10.0.0.1", false),
            ("0xa000001", false),
            ("[::1]", false),
            ("[::ffff:10.0.0.1]", false),
        ] {
            assert_eq!(guard.check_host(host).is_ok(), admitted, "{host}");
        }
        let strict = Guard::new(Vec::new());
        for host in ["localhost", "LocalHost.", "a.localhost", "127.0.0.1"] {
            assert!(strict.check_host(host).is_err(), "{host}");
        }
        for host in ["example.com", "localhost.example", "mylocalhost", "8.8.8.8"] {
            assert_eq!(strict.check_host(host), Ok(()), "{host}");
        }
        assert_eq!(host_of("mqtt://127.1:1883").as_deref(), Some("127.1"));
    }

    #[test]
    fn other_spellings_of_an_address_are_seen_through() {
        let guard = Guard::new(Vec::new());
        for url in [
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://[::ffff:7f00:1]/",
        ] {
            assert!(
                guard.check_url(&url::Url::parse(url).unwrap()).is_err(),
                "{url}"
            );
        }
        assert!(
            guard
                .check_url(&url::Url::parse("https://example.com/").unwrap())
                .is_ok()
        );
    }
}
