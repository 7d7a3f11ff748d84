//! Bounds of the whole hub: connections at a time, and uplinks that wait to be stored.

use futures_util::{StreamExt, stream::FuturesUnordered};

use crate::{
    eventually,
    support::{
        database::{Database, Held, on_both_databases},
        raw,
        server::{EUI, Hub, things_stack},
    },
};

on_both_databases!(beyond_its_bound_the_queue_of_uplinks_refuses);

async fn beyond_its_bound_the_queue_of_uplinks_refuses(database: Database) {
    /// More than the queue and one batch under way hold.
    const UPLINKS: usize = 20;
    let (hub, connection) = Hub::with_device(database, &["--uplink-queue-max", "3"]).await;
    hub.uplink(&connection, EUI).await;
    let lock = match &hub.database {
        Database::Sqlite => "BEGIN IMMEDIATE",
        Database::Postgres(_) => "BEGIN; LOCK TABLE uplinks IN EXCLUSIVE MODE",
    };
    let held = Held::start(&hub.database_url(), lock).await;
    let sent = || hub.ingest(&connection, things_stack(EUI));
    let mut answers: FuturesUnordered<_> = (0..UPLINKS).map(|_| sent()).collect();
    // While nothing can be stored, the only answers are refusals.
    let mut refused = 0;
    while refused < UPLINKS - 8 {
        let answer = answers.next().await.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert_eq!(answer.headers["x-error-reason"], "overloaded");
        assert!(answer.headers.contains_key("retry-after"));
        refused += 1;
    }
    held.end().await;
    let mut stored = 1;
    while let Some(answer) = answers.next().await {
        match answer.status {
            200 => stored += 1,
            _ => {
                answer.refused(503);
            }
        }
    }
    assert!((2..=9).contains(&stored), "{stored}");
    // All that were answered with 200 are there, and none that was refused.
    assert_eq!(hub.list("devices/d/uplinks").await.len(), stored);
    hub.uplink(&connection, EUI).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_bound_connections_wait() {
    // The test's own client keeps one.
    let hub = Hub::start_with(Database::Sqlite, &["--connections-max", "3"]).await;
    let first = raw::open(&hub, &["http/1.1"]).await.unwrap();
    let second = raw::open(&hub, &["http/1.1"]).await.unwrap();
    let waiting = async { raw::open(&hub, &["http/1.1"]).await.is_ok() };
    tokio::pin!(waiting);
    for _ in 0..50 {
        // Far more than a handshake takes.
        let asked = hub.get("devices");
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("a fourth connection is served"),
            answer = asked => drop(answer.ok()),
        }
    }
    drop(first);
    // It was not refused, and is served when there is a place.
    let served = async { waiting.await };
    assert!(
        tokio::time::timeout(std::time::Duration::from_secs(20), served)
            .await
            .unwrap()
    );
    drop(second);
    eventually("the others have left", async || {
        raw::open(&hub, &["http/1.1"]).await.ok()
    })
    .await;
}
