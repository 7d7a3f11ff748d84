//! The addresses of this machine.

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::{ifaddrs::getifaddrs, sys::socket::SockaddrStorage};

/// Time for which they are cached: interfaces come and go.
const BELIEVED: Duration = Duration::from_secs(5);

/// The addresses of the machine's interfaces, read again from time to time. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct OwnAddresses(Arc<Mutex<Option<Known>>>);

#[derive(Debug)]
struct Known {
    addresses: HashSet<IpAddr>,
    read_at: Instant,
}

impl OwnAddresses {
    /// Returns true if the address belongs to this machine.
    ///
    /// # Errors
    /// Fails if the system does not list its addresses.
    pub fn contain(&self, address: IpAddr) -> Result<bool, String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match kept.take() {
            Some(known) if known.read_at.elapsed() < BELIEVED => known,
            _ => Known {
                addresses: read()?,
                read_at: Instant::now(),
            },
        };
        let is_own = known.addresses.contains(&address.to_canonical());
        *kept = Some(known);
        Ok(is_own)
    }
}

fn read() -> Result<HashSet<IpAddr>, String> {
    let interfaces = getifaddrs()
        .map_err(|error| format!("this machine's own addresses cannot be read: {error}"))?;
    let addresses = interfaces.filter_map(|interface| address(interface.address.as_ref()?));
    Ok(addresses.collect())
}

fn address(address: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(v4.ip().into());
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(IpAddr::V6(v6.ip()).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_knows_its_addresses() {
        let own = OwnAddresses::default();
        assert_eq!(own.contain("127.0.0.1".parse().unwrap()), Ok(true));
        assert_eq!(own.contain("::ffff:127.0.0.1".parse().unwrap()), Ok(true));
        assert_eq!(own.contain("192.0.2.1".parse().unwrap()), Ok(false));
    }

    #[test]
    fn addresses_are_read_again_after_a_while() {
        // An address of documentation, which no interface has.
        let gone: IpAddr = "192.0.2.1".parse().unwrap();
        for (age, is_believed) in [(Duration::ZERO, true), (BELIEVED, false)] {
            let known = Known {
                addresses: HashSet::from([gone]),
                read_at: Instant::now().checked_sub(age).unwrap(),
            };
            let own = OwnAddresses(Arc::new(Mutex::new(Some(known))));
            assert_eq!(own.contain(gone), Ok(is_believed), "{age:?}");
        }
    }
}
