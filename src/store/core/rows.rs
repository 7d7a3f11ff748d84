//! Traits of rows that belong to tenants, and of rows that have a revision.

use sea_orm::{EntityTrait, QueryFilter, Select, entity::ColumnTrait};

use crate::{
    error::{Error, Result},
    id::TenantId,
};

/// Table whose rows belong to tenants.
pub trait Owned: EntityTrait {
    /// Column with the tenant.
    const TENANT: Self::Column;
}

/// Row with a revision.
pub trait Revised {
    /// Returns the revision, which grows with every change by a client.
    fn revision(&self) -> i64;
}

/// Returns the query for the rows of a tenant.
pub fn find_of<E: Owned>(tenant: TenantId) -> Select<E> {
    E::find().filter(E::TENANT.eq(tenant.0))
}

/// Fails if a change has affected no row.
pub fn check_found(rows_affected: u64, missing: impl FnOnce() -> Error) -> Result<()> {
    if rows_affected == 0 {
        Err(missing())
    } else {
        Ok(())
    }
}
