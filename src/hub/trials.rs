//! Limits on tests of integrations and network connections: each test calls another system and takes as long
//! as that system does. So the number at a time is limited for each tenant and in total.

use crate::{
    error::{Error, Result},
    id::TenantId,
    shares::{Full, Place, Shares},
};

/// Maximum number of tests of one tenant at a time.
pub const TENANT_MAX: usize = 4;
/// Maximum number of tests of all tenants at a time.
const ALL_MAX: usize = 64;

/// The tests in progress.
pub struct Trials(Shares<TenantId>);

/// A test in progress. It releases its place on drop.
pub type Trial = Place<TenantId>;

impl Default for Trials {
    fn default() -> Self {
        Self(Shares::new(ALL_MAX))
    }
}

impl Trials {
    /// Takes a place for a test of this tenant.
    ///
    /// # Errors
    /// Fails if the tenant, or the hub, has no place left.
    pub fn begin(&self, tenant: TenantId) -> Result<Trial> {
        self.0.enter([(tenant, TENANT_MAX)]).map_err(|full| {
            Error::overloaded(&match full {
                Full::Share(_) => {
                    format!("{TENANT_MAX} tests of this tenant are under way; wait for one to end")
                }
                Full::All => format!("{ALL_MAX} tests are under way; try again"),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_has_its_places_and_gets_them_back() {
        let trials = Trials::default();
        let begin = |tenant| trials.begin(TenantId(tenant));
        let mut held: Vec<Trial> = (0..TENANT_MAX).map(|_| begin(1).unwrap()).collect();
        assert!(matches!(begin(1), Err(Error::Unavailable { .. })));
        let other = begin(2).unwrap();
        held.pop();
        held.push(begin(1).unwrap());
        drop((held, other));
        // Nothing is left of those, so that all places are there.
        let most = i64::try_from(ALL_MAX / TENANT_MAX).unwrap();
        let all = (0..most).flat_map(|tenant| (0..TENANT_MAX).map(move |_| tenant));
        let held: Vec<Trial> = all.map(|tenant| begin(tenant).unwrap()).collect();
        assert!(begin(most).is_err());
        drop(held);
        assert!(begin(most).is_ok());
    }
}
