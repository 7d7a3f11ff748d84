//! Tests of what is provisioned: each speaks with a system that somebody else has, and takes as long as that likes.
//! A few at a time for each tenant, and not too many in all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    error::{Error, Result},
    id::TenantId,
};

/// Tests of one tenant at a time.
pub const TENANT_MAX: usize = 4;
/// Tests of all tenants at a time.
const ALL_MAX: usize = 64;

/// The tests under way.
#[derive(Default)]
pub struct Trials(Mutex<HashMap<TenantId, usize>>);

/// One of them. It gives its place back as it is dropped.
pub struct Trial {
    trials: Arc<Trials>,
    tenant: TenantId,
}

impl Trials {
    /// Takes a place of this tenant's.
    ///
    /// # Errors
    /// When it has none left.
    pub fn begin(self: &Arc<Self>, tenant: TenantId) -> Result<Trial> {
        let mut under_way = self.lock();
        let all: usize = under_way.values().sum();
        let own = under_way.get(&tenant).copied().unwrap_or_default();
        if own >= TENANT_MAX {
            let what =
                format!("{TENANT_MAX} tests of this tenant are under way; wait for one to end");
            return Err(Error::overloaded(&what));
        }
        if all >= ALL_MAX {
            let what = format!("{ALL_MAX} tests are under way; try again");
            return Err(Error::overloaded(&what));
        }
        under_way.insert(tenant, own + 1);
        Ok(Trial {
            trials: self.clone(),
            tenant,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut under_way = self.trials.lock();
        if let Some(own) = under_way.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                under_way.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_has_its_places_and_gets_them_back() {
        let trials = Arc::new(Trials::default());
        let begin = |tenant| trials.begin(TenantId(tenant));
        let mut held: Vec<Trial> = (0..TENANT_MAX).map(|_| begin(1).unwrap()).collect();
        assert!(matches!(begin(1), Err(Error::Unavailable { .. })));
        let other = begin(2).unwrap();
        held.pop();
        held.push(begin(1).unwrap());
        drop((held, other));
        assert!(trials.lock().is_empty());
        let most = i64::try_from(ALL_MAX / TENANT_MAX).unwrap();
        let all = (0..most).flat_map(|tenant| (0..TENANT_MAX).map(move |_| tenant));
        let held: Vec<Trial> = all.map(|tenant| begin(tenant).unwrap()).collect();
        assert!(begin(most).is_err());
        drop(held);
        assert!(begin(most).is_ok());
    }
}
