//! Places with a limit for all members together and a limit for each member, such as a tenant or a user, so
//! that no member can take all of them.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Hands out places. Cheap to clone.
pub struct Shares<K>(Arc<Inner<K>>);

struct Inner<K> {
    places_max: usize,
    taken: Mutex<Taken<K>>,
}

struct Taken<K> {
    places: usize,
    /// Contains only members that hold a place.
    members: HashMap<K, usize>,
}

/// A place that is released on drop, so it must live as long as the work that it is for.
#[must_use]
pub struct Place<K: Hash + Eq> {
    shares: Shares<K>,
    size: usize,
    members: Vec<K>,
}

/// Reason why no place is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full<K> {
    /// All places are taken.
    All,
    /// This member has reached its limit.
    Share(K),
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Hash + Eq + Clone> Shares<K> {
    /// Creates this number of places for all members together.
    pub fn new(places_max: usize) -> Self {
        Self(Arc::new(Inner {
            places_max,
            taken: Mutex::new(Taken {
                places: 0,
                members: HashMap::new(),
            }),
        }))
    }

    /// Takes a place that counts for each of these members, each given with its limit.
    pub fn enter<const N: usize>(&self, members: [(K, usize); N]) -> Result<Place<K>, Full<K>> {
        self.take(1, members)
    }

    /// Takes a place of another size, such as a number of bytes.
    pub fn take<const N: usize>(
        &self,
        size: usize,
        members: [(K, usize); N],
    ) -> Result<Place<K>, Full<K>> {
        let mut taken = self.lock();
        // The member's own limit is checked first: a member that has reached it should get that error even
        // if all places are taken.
        for (member, share) in &members {
            let has = taken.members.get(member).copied().unwrap_or(0);
            if has.saturating_add(size) > *share {
                return Err(Full::Share(member.clone()));
            }
        }
        if taken.places.saturating_add(size) > self.0.places_max {
            return Err(Full::All);
        }
        taken.places += size;
        for (member, _) in &members {
            *taken.members.entry(member.clone()).or_default() += size;
        }
        drop(taken);
        Ok(Place {
            shares: self.clone(),
            size,
            members: members.into_iter().map(|(member, _)| member).collect(),
        })
    }
}

impl<K> Shares<K> {
    fn lock(&self) -> MutexGuard<'_, Taken<K>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.shares.lock();
        taken.places -= self.size;
        for member in &self.members {
            let Some(count) = taken.members.get_mut(member) else {
                continue;
            };
            *count -= self.size;
            if *count == 0 {
                taken.members.remove(member);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_more_than_a_share() {
        let shares = Shares::new(3);
        let enter =
            |tenant: &'static str, user: &'static str| shares.enter([(tenant, 2), (user, 1)]);
        let first = enter("acme", "ada").ok();
        assert_eq!(enter("acme", "ada").err(), Some(Full::Share("ada")));
        let second = enter("acme", "bob").ok();
        assert_eq!(enter("acme", "cy").err(), Some(Full::Share("acme")));
        let third = enter("other", "dan").ok();
        assert_eq!(enter("third", "eve").err(), Some(Full::All));
        drop(second);
        assert!(shares.take(2, [("acme", 2)]).is_err());
        drop((first, third));
        drop(shares.take(2, [("acme", 2)]));
        assert!(shares.lock().members.is_empty());
        assert_eq!(shares.lock().places, 0);
    }
}
