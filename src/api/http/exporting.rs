//! Limits on files that are made while their clients read them. Such an export holds memory for as long as its client
//! takes.

use crate::{
    error::Error,
    id::TenantId,
    shares::{self, Full, Shares},
};

/// Maximum number of exports at the same time, in total and per tenant.
const EXPORTS_MAX: usize = 32;
const EXPORTS_TENANT_MAX: usize = 16;
/// Number of exports for which one as Parquet counts: it holds a group of rows.
pub const PARQUET_SIZE: usize = 8;

/// Running exports. Cheap to clone.
#[derive(Clone)]
pub struct Exporting(Shares<TenantId>);

/// Place of an export, to be held until the end of its file.
pub type Place = shares::Place<TenantId>;

impl Default for Exporting {
    fn default() -> Self {
        Self(Shares::new(EXPORTS_MAX))
    }
}

impl Exporting {
    /// Takes a place for an export of the tenant that counts for this many exports.
    ///
    /// # Errors
    /// Fails with an overload if too many exports are running.
    pub fn enter(&self, tenant: TenantId, size: usize) -> Result<Place, Error> {
        let entered = self.0.take(size, [(tenant, EXPORTS_TENANT_MAX)]);
        entered.map_err(|full| {
            Error::overloaded(match full {
                Full::All => "too many exports at a time; try again",
                Full::Share(_) => "too many exports of this tenant at a time; try again",
            })
        })
    }
}
