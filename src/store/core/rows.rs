//! Rows that belong to tenants, and rows that count their changes.

use sea_orm::{EntityTrait, QueryFilter, Select, entity::ColumnTrait};

use crate::{
    error::{Error, Result},
    id::TenantId,
};

/// A table whose rows belong to tenants.
pub trait Owned: EntityTrait {
    /// The column that holds the tenant.
    const TENANT: Self::Column;
}

/// A row that counts its changes.
pub trait Revised {
    /// Grows with every change by a client.
    fn revision(&self) -> i64;
}

/// The rows of a tenant.
pub fn find_of<E: Owned>(tenant: TenantId) -> Select<E> {
    E::find().filter(E::TENANT.eq(tenant.0))
}

/// Fails where a change has found no row.
pub fn check_found(rows_affected: u64, missing: impl FnOnce() -> Error) -> Result<()> {
    if rows_affected == 0 {
        Err(missing())
    } else {
        Ok(())
    }
}
