//! First revisions of resources whose keys can come back: devices and downlink settings.
//!
//! A client may still have the ETag of a deleted device when another one gets its id. The revisions of a new resource
//! therefore begin above those of all resources of this kind that the tenant has deleted.

use sea_orm::{ColumnTrait, DbErr, QueryFilter, QuerySelect, sea_query::Expr};

use super::{scope::Scope, transaction::DatabaseTransaction};
use crate::store::entities::tenant;

impl Scope {
    /// Notes the revision of a deleted resource. Locks the tenant, so it comes after all other locks.
    pub(in crate::store) async fn note_last_revision(
        &self,
        transaction: &DatabaseTransaction,
        revision: i64,
    ) -> Result<(), DbErr> {
        self.update::<tenant::Entity>()
            .col_expr(tenant::Column::LastRevision, Expr::value(revision))
            .filter(tenant::Column::LastRevision.lt(revision))
            .exec(transaction)
            .await?;
        Ok(())
    }

    /// Returns the revision of a new resource. Is called once the key belongs to it, which may have to wait for the
    /// deletion of the last one.
    pub(in crate::store) async fn first_revision(
        &self,
        transaction: &DatabaseTransaction,
    ) -> Result<i64, DbErr> {
        let last: Option<i64> = self
            .find::<tenant::Entity>()
            .select_only()
            .column(tenant::Column::LastRevision)
            .into_tuple()
            .one(transaction)
            .await?;
        Ok(last.unwrap_or_default() + 1)
    }
}
