//! Leases: exclusive rights of one hub among those on a database.
//!
//! A holder renews its lease well before it expires; the lease of a dead hub expires by itself. Expiry uses the
//! database's clock, because the clocks of hubs differ. Leases serve all tenants. The only hub on a file holds all of
//! them without a record, which a killed hub would leave behind.

use std::{collections::HashSet, time::Duration};

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, LockType, OnConflict, Query},
};
use uuid::Uuid;

use crate::{
    clock,
    error::Result,
    id::TenantId,
    store::{core::handle::Store, entities::lease},
};

/// Time for which an expired lease stays in the table.
const KEPT: TimeDelta = TimeDelta::hours(1);

#[derive(FromQueryResult)]
struct Held {
    name: String,
}

impl Store {
    /// Takes free leases and renews those that the holder already has, for `life` from now. Returns the names of the
    /// leases held.
    pub async fn hold_leases(
        &self,
        holder: Uuid,
        mut wanted: Vec<(TenantId, String)>,
        life: Duration,
    ) -> Result<HashSet<String>> {
        use lease::Column;
        if !self.is_shared() || wanted.is_empty() {
            return Ok(wanted.into_iter().map(|(_, name)| name).collect());
        }
        // All hubs use the same order, so that two that take the same rows do not deadlock.
        wanted.sort_by(|(_, one), (_, other)| one.cmp(other));
        let column = |column: Column| Expr::col((lease::Entity, column));
        let expires_at = self.after(life);
        let free = column(Column::Holder)
            .eq(holder)
            .or(column(Column::ExpiresAt).lt(self.now_plus(TimeDelta::zero())));
        let mut insert = Query::insert()
            .into_table(lease::Entity)
            .columns([
                Column::TenantId,
                Column::Name,
                Column::Holder,
                Column::ExpiresAt,
            ])
            .to_owned();
        for (tenant, name) in wanted {
            insert.values_panic([
                Expr::value(tenant.0),
                Expr::value(name),
                Expr::value(holder),
                expires_at.clone(),
            ]);
        }
        insert
            .on_conflict(
                OnConflict::column(Column::Name)
                    .update_columns([Column::Holder, Column::ExpiresAt])
                    .action_and_where(free)
                    .to_owned(),
            )
            .returning(Query::returning().column(Column::Name));
        let writer = &self.inner.leases;
        let statement = writer.get_database_backend().build(&insert);
        let held = Held::find_by_statement(statement).all(writer).await?;
        Ok(held.into_iter().map(|held| held.name).collect())
    }

    /// Renews one lease of the holder; returns true if it still holds it.
    pub async fn keep_lease(&self, holder: Uuid, name: &str, life: Duration) -> Result<bool> {
        use lease::Column;
        if !self.is_shared() {
            return Ok(true);
        }
        let kept = lease::Entity::update_many()
            .col_expr(Column::ExpiresAt, self.after(life))
            .filter(Column::Holder.eq(holder))
            .filter(Column::Name.eq(name))
            .exec(&self.inner.leases)
            .await?;
        Ok(kept.rows_affected > 0)
    }

    /// Releases leases, so that another hub can take them at once.
    pub async fn release_leases(&self, holder: Uuid, names: Vec<String>) -> Result<()> {
        use lease::Column;
        if !self.is_shared() || names.is_empty() {
            return Ok(());
        }
        let own = Column::Holder.eq(holder).and(Column::Name.is_in(names));
        self.delete_leases(own).await?;
        // Leases of removed resources that dead hubs left behind.
        self.delete_leases(Expr::col(Column::ExpiresAt).lt(self.now_plus(-KEPT)))
            .await
    }

    /// Deletes leases, locking them in the order in which others take them.
    async fn delete_leases(&self, which: Expr) -> Result<()> {
        use lease::Column;
        let names = lease::Entity::find()
            .filter(which)
            .order_by_asc(Column::Name)
            .lock(LockType::Update)
            .select_only()
            .column(Column::Name)
            .into_query();
        lease::Entity::delete_many()
            .filter(Column::Name.in_subquery(names))
            .exec(&self.inner.leases)
            .await?;
        Ok(())
    }

    /// Returns the time when a period that starts now ends.
    pub(in crate::store) fn after(&self, life: Duration) -> Expr {
        self.now_plus(TimeDelta::from_std(life).unwrap_or(TimeDelta::MAX))
    }

    /// Returns the time at this distance from now, by the clock that all hubs share.
    pub(in crate::store) fn now_plus(&self, distance: TimeDelta) -> Expr {
        if self.is_shared() {
            let milliseconds = distance.num_milliseconds();
            Expr::cust(format!(
                "CURRENT_TIMESTAMP + INTERVAL '{milliseconds} milliseconds'"
            ))
        } else {
            Expr::value(clock::now() + distance)
        }
    }
}
