//! Background jobs over stored data, whose progress is a row of a table of their own kind.
//!
//! One transaction does a piece of the work and moves the job's progress: whatever stops the hub, a piece is done once
//! or not yet.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{
    handle::Store,
    listing::{self, Order, Place, Stretch},
    page::Page,
    removed,
    rows::Owned,
    scope::Scope,
    transaction::DatabaseTransaction,
    words::words,
};
use crate::{
    clock::Time,
    error::{Error, Reason, Result},
    id::TenantId,
};

/// Maximum number of running jobs of one kind per resource.
const RUNNING_MAX: u64 = 5;

/// Progress of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Work is left.
    Running,
    /// All of the work is done.
    Done,
    /// An internal error has ended it.
    Failed,
}

words!(State {
    Running = "running",
    Done = "done",
    Failed = "failed",
});

/// Table of jobs of one kind.
pub(in crate::store) trait JobTable: Owned {
    /// Words for the states of a job that has not ended.
    const UNFINISHED: &'static [&'static str] = &["running"];
    /// Column with the key.
    const KEY: Self::Column;
    /// Column with the state.
    const STATE: Self::Column;
    /// Column with the time of the last progress.
    const UPDATED: Self::Column;
    /// Column with the time at which the job ended.
    const FINISHED: Self::Column;

    /// Returns the condition for jobs that have not ended.
    fn is_unfinished() -> Expr {
        Self::STATE.is_in(Self::UNFINISHED.iter().copied())
    }
}

/// Table of jobs that belong to a resource of the tenant.
pub(in crate::store) trait OwnedJobs: JobTable {
    /// Table of the resources.
    type Resource: Owned;

    /// Column with the key of the resources.
    const RESOURCE: <Self::Resource as EntityTrait>::Column;
    /// Column with the resource of a job.
    const OF: Self::Column;
    /// Name of a job in errors.
    const NAME: &'static str;
    /// Phrase for several running jobs, after their number.
    const RUNNING: &'static str;

    /// Returns the key of a job.
    fn key(model: &Self::Model) -> i64;
}

/// Implements the traits of a table of jobs that belong to a resource.
macro_rules! owned_jobs {
    ($entity:ident of $resource:ident by $of:ident: $name:literal, $running:literal) => {
        impl $crate::store::core::jobs::JobTable for $entity::Entity {
            const KEY: $entity::Column = $entity::Column::Id;
            const STATE: $entity::Column = $entity::Column::State;
            const UPDATED: $entity::Column = $entity::Column::UpdatedAt;
            const FINISHED: $entity::Column = $entity::Column::FinishedAt;
        }

        impl $crate::store::core::jobs::OwnedJobs for $entity::Entity {
            type Resource = $resource::Entity;

            const RESOURCE: $resource::Column = $resource::Column::Id;
            const OF: $entity::Column = $entity::Column::$of;
            const NAME: &'static str = $name;
            const RUNNING: &'static str = $running;

            fn key(model: &$entity::Model) -> i64 {
                model.id
            }
        }
    };
}

pub(in crate::store) use owned_jobs;

impl State {
    /// Returns the state after a piece of work, and the time at which the job ended.
    pub(in crate::store) fn after(is_last: bool, now: Time) -> (Self, Option<Time>) {
        match is_last {
            true => (Self::Done, Some(now)),
            false => (Self::Running, None),
        }
    }
}

/// Returns the unfinished jobs of all tenants.
pub(in crate::store) async fn unfinished<E: JobTable, I>(
    store: &Store,
    typed: impl Fn(i64) -> I,
) -> Result<Vec<(TenantId, I)>> {
    let found: Vec<(i64, i64)> = E::find()
        .filter(E::is_unfinished())
        .filter(removed::is_live(E::TENANT.into_expr()))
        .order_by_asc(E::KEY)
        .select_only()
        .column(E::TENANT)
        .column(E::KEY)
        .into_tuple()
        .all(&store.inner.reader)
        .await?;
    let typed = |(tenant, id)| (TenantId(tenant), typed(id));
    Ok(found.into_iter().map(typed).collect())
}

/// Locks the resource of a new job, so that each of two concurrent calls counts the other's job. Fails if as many jobs
/// as allowed are running.
pub(in crate::store) async fn make_room<E: OwnedJobs>(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    resource: i64,
    missing: impl FnOnce() -> Error,
) -> Result<()>
where
    E::Model: Sync,
    <E::Resource as EntityTrait>::Model: Sync,
{
    scope
        .find::<E::Resource>()
        .filter(E::RESOURCE.eq(resource))
        .lock(LockType::NoKeyUpdate)
        .one(transaction)
        .await?
        .ok_or_else(missing)?;
    check_room::<E>(scope, transaction, resource).await
}

/// Fails if as many jobs of the resource as allowed are running.
pub(in crate::store) async fn check_room<E: OwnedJobs>(
    scope: &Scope,
    connection: &impl ConnectionTrait,
    resource: i64,
) -> Result<()>
where
    E::Model: Sync,
{
    let running = scope
        .find::<E>()
        .filter(E::OF.eq(resource))
        .filter(E::is_unfinished())
        .count(connection)
        .await?;
    if running >= RUNNING_MAX {
        let running = E::RUNNING;
        return Err(Error::rejected(
            Reason::LimitReached,
            format!("{RUNNING_MAX} {running} already; try again when one is done"),
        ));
    }
    Ok(())
}

/// Returns a job of any resource.
pub(in crate::store) async fn find<E: JobTable>(scope: &Scope, id: i64) -> Result<Option<E::Model>>
where
    E::Model: Sync,
{
    Ok(scope
        .find::<E>()
        .filter(E::KEY.eq(id))
        .one(scope.reader())
        .await?)
}

/// Returns a job of a resource. Those of a deleted resource are deleted later than it.
pub(in crate::store) async fn get<E: OwnedJobs>(
    scope: &Scope,
    resource: i64,
    id: i64,
) -> Result<E::Model>
where
    E::Model: Sync,
    <E::Resource as EntityTrait>::Model: Sync,
{
    let owner = scope
        .find::<E::Resource>()
        .filter(E::RESOURCE.eq(resource))
        .count(scope.reader())
        .await?;
    let found = scope
        .find::<E>()
        .filter(E::KEY.eq(id))
        .filter(E::OF.eq(resource))
        .one(scope.reader())
        .await?;
    found
        .filter(|_| owner > 0)
        .ok_or_else(|| Error::missing(E::NAME, id))
}

/// Returns a page of a resource's jobs, newest first.
pub(in crate::store) async fn list<E: OwnedJobs>(
    scope: &Scope,
    resource: i64,
    stretch: &Stretch,
) -> Result<Page<E::Model, Place>>
where
    E::Model: Sync,
{
    let query = scope.find::<E>().filter(E::OF.eq(resource));
    let order = Order::by_key(E::KEY.into_expr(), true);
    let page = listing::section(scope, query, &order, stretch, |model| {
        Place::of_key(E::key(model))
    })
    .await?;
    Ok(page)
}

/// Ends a job as failed after an internal error, unless it has ended meanwhile.
pub(in crate::store) async fn give_up<E: JobTable>(scope: &Scope, id: i64) -> Result<()> {
    let now = scope.now();
    let which = Condition::all().add(E::KEY.eq(id)).add(E::is_unfinished());
    scope
        .keep(async |transaction| {
            scope
                .update::<E>()
                .col_expr(E::STATE, Expr::value(State::Failed.as_str()))
                .col_expr(E::UPDATED, Expr::value(now))
                .col_expr(E::FINISHED, Expr::value(now))
                .filter(which)
                .exec(&*transaction)
                .await?;
            Ok(())
        })
        .await
}
