//! Tests of work that is dropped at each of its await points: a committed change must still take effect.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};

use crate::{
    clock,
    config::Config,
    id::TenantId,
    store::{
        core::{handle::Store, scope::Scope},
        entities::tenant,
    },
};

/// Maximum number of rounds, each of which drops a change at all of its await points.
const ROUNDS: u32 = 100;

/// Polls work up to `times` times and drops it: at once after the last poll, or when it is next woken. Returns
/// `None` if the work was not finished by then.
async fn poll_times<F: Future>(work: F, times: usize, at_once: bool) -> Option<F::Output> {
    let (mut work, mut polled) = (pin!(work), 0);
    poll_fn(|context| {
        if polled == times {
            return Poll::Ready(None);
        }
        polled += 1;
        match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if at_once && polled == times => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn open(folder: &tempfile::TempDir) -> (Store, Scope) {
    let config = Config {
        data_dir: folder.path().to_owned(),
        ..Config::default()
    };
    let store = Store::open(&config).await.unwrap();
    assert!(store.seed("before", "admin", "hash").await.unwrap());
    let scope = store.scope(TenantId(1));
    (store, scope)
}

async fn name(scope: &Scope) -> String {
    let query = scope.find::<tenant::Entity>().select_only();
    let found = query
        .column(tenant::Column::Name)
        .into_tuple()
        .one(scope.reader());
    found.await.unwrap().unwrap()
}

async fn rename(scope: &Scope, to: &str) -> crate::error::Result<()> {
    scope
        .write(async |transaction| {
            tenant::Entity::update_many()
                .col_expr(tenant::Column::Name, Expr::value(to))
                .filter(tenant::Column::Id.eq(scope.tenant.0))
                .exec(&*transaction)
                .await?;
            Ok(())
        })
        .await
}

/// Renames the tenant, dropping the work at ever later points until it completes. Returns the number of attempts
/// that were committed although they were dropped.
async fn rename_and_drop(store: &Store, scope: &Scope, round: u32) -> u32 {
    let mut committed_and_dropped = 0;
    for times in 1.. {
        for at_once in [true, false] {
            let to = format!("{round} {times} {at_once}");
            let before = scope.epoch();
            let done = poll_times(rename(scope, &to), times, at_once).await;
            // In the order in which caches read: the epoch first, then the data.
            let kept = (scope.epoch(), name(scope).await);
            // The only connection is free again once the transaction has ended.
            let next = store.begin([]).await.unwrap();
            next.rollback().await;
            let is_committed = name(scope).await == to;
            assert_eq!(is_committed, scope.epoch() != before, "{to}");
            if scope.epoch() == kept.0 {
                assert_eq!(name(scope).await, kept.1, "{to}: what is kept is stale");
            }
            match done {
                Some(outcome) => {
                    outcome.unwrap();
                    assert!(is_committed);
                    return committed_and_dropped;
                }
                None => committed_and_dropped += u32::from(is_committed),
            }
        }
    }
    unreachable!("it is done at some time")
}

#[tokio::test]
async fn a_change_that_is_committed_moves_the_epoch_wherever_its_work_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (store, scope) = open(&folder).await;
    // The thread that owns the file may finish before the first poll, in which case no attempt is dropped.
    let mut committed_and_dropped = 0;
    for round in 0..ROUNDS {
        committed_and_dropped += rename_and_drop(&store, &scope, round).await;
        if committed_and_dropped > 0 {
            break;
        }
    }
    assert!(committed_and_dropped > 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn what_is_recorded_is_complete_until_the_oldest_open_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&folder).await;
    let before = clock::now();
    assert!(store.complete_until().await.unwrap() >= before);
    let transaction = store.begin([]).await.unwrap();
    let begun = clock::now();
    let held = store.complete_until().await.unwrap();
    assert!(before <= held && held <= begun);
    assert_eq!(store.complete_until().await.unwrap(), held);
    transaction.commit().await.unwrap();
    assert!(store.complete_until().await.unwrap() >= begun);
    let transaction = store.begin([]).await.unwrap();
    drop(transaction);
    let now = clock::now();
    assert!(store.complete_until().await.unwrap() >= now);
    store.close().await.unwrap();
}
