//! The leaders of a topic's partitions in compact form: each broker is stored once, even for thousands of
//! partitions.

use std::collections::HashMap;

use super::settings::Address;

/// Maximum number of brokers stored for a topic; partitions of further ones count as without a leader.
const BROKERS_MAX: usize = 500;
/// Index that means "no broker".
const NONE: u16 = u16::MAX;
/// Size of an entry without its brokers and partitions, in bytes.
const ENTRY_BYTES: usize = 256;
/// Size of a broker without its name, in bytes.
const BROKER_BYTES: usize = 64;

/// The leader of each partition of a topic.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leaders {
    brokers: Vec<Address>,
    /// Index of each partition's leader in the list of brokers.
    places: Vec<u16>,
}

impl Leaders {
    /// Finds each leader's address once.
    pub fn of(
        leaders: impl Iterator<Item = i32>,
        address: impl Fn(i32) -> Option<Address>,
    ) -> Self {
        let mut found = Self::default();
        let mut known: HashMap<i32, u16> = HashMap::new();
        for id in leaders {
            let place = *known.entry(id).or_insert_with(|| {
                let place = u16::try_from(found.brokers.len()).unwrap_or(NONE);
                let address = (found.brokers.len() < BROKERS_MAX).then(|| address(id));
                match address.flatten() {
                    Some(address) => {
                        found.brokers.push(address);
                        place
                    }
                    None => NONE,
                }
            });
            found.places.push(place);
        }
        found
    }

    /// The number of partitions.
    pub fn partitions(&self) -> usize {
        self.places.len()
    }

    /// Returns the leader of a partition; `None` if it has none now.
    pub fn of_partition(&self, partition: usize) -> Option<&Address> {
        let place = *self.places.get(partition)?;
        self.brokers.get(usize::from(place))
    }

    /// Returns the approximate size in memory, in bytes.
    pub fn size(&self) -> usize {
        let names: usize = self.brokers.iter().map(Address::size).sum();
        ENTRY_BYTES + names + self.brokers.len() * BROKER_BYTES + self.places.len() * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(id: i32) -> Option<Address> {
        let port = u16::try_from(id).ok().filter(|port| *port > 0)?;
        Some(Address::new("kafka.example.com", port).unwrap())
    }

    #[test]
    fn each_partition_has_its_leader() {
        let leaders = Leaders::of([7, -1, 7, 8].into_iter(), address);
        let ports: Vec<_> = (0..5)
            .map(|partition| leaders.of_partition(partition).map(|broker| broker.port))
            .collect();
        assert_eq!(ports, [Some(7), None, Some(7), Some(8), None]);
        assert_eq!((leaders.partitions(), leaders.brokers.len()), (4, 2));
    }

    #[test]
    fn a_cluster_without_end_takes_little_space() {
        let leaders = Leaders::of(1..=20_000, address);
        assert_eq!(leaders.partitions(), 20_000);
        assert!(leaders.of_partition(BROKERS_MAX - 1).is_some());
        assert!(leaders.of_partition(BROKERS_MAX).is_none());
        assert!(leaders.size() < 100_000, "{}", leaders.size());
        let same = Leaders::of(std::iter::repeat_n(5, 20_000), address);
        assert!(same.size() < 50_000, "{}", same.size());
    }
}
