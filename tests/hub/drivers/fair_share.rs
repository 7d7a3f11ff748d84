//! Tenants share the driver workers: one that keeps them busy is not felt by the others.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Hub, PASSWORD, things_stack},
};

on_both_databases!(
    a_tenant_whose_driver_loops_starves_nobody,
    even_one_worker_is_shared,
    an_uplink_that_finds_the_queue_full_is_sent_again,
);

async fn a_tenant_whose_driver_loops_starves_nobody(database: Database) {
    share(&mut Hub::start_with(database, &PATIENT).await).await;
}

async fn even_one_worker_is_shared(database: Database) {
    share(
        &mut Hub::start_with(
            database,
            &[&PATIENT[..], &["--driver-workers", "1"]].concat(),
        )
        .await,
    )
    .await;
}

/// Endless calls take their time, on a busy machine above all.
const PATIENT: [&str; 4] = [
    "--request-timeout-s",
    "300",
    "--driver-wall-time-ms",
    "60000",
];

/// One tenant keeps `LOOPING` calls of an endless driver waiting; the other's uplinks are all
/// decoded well before those are over.
async fn share(hub: &mut Hub) {
    const LOOPING: usize = 40;
    const WORKING: usize = 20;

    hub.tenant("other").await;
    let looping = hub.connect("tts").await;
    hub.push("a/loops", "1", "function decode() { for (;;) {} }")
        .await;
    hub.device(
        "loops",
        &looping,
        "AA00000000000001",
        json!({"driver": "a/loops:1"}),
    )
    .await;

    let first = std::mem::take(&mut hub.token);
    hub.token = hub.log_in("other", PASSWORD).await;
    let working = hub.connect("tts").await;
    hub.push(
        "a/works",
        "1",
        "function decode(payload) { return { first: payload[0] } }",
    )
    .await;
    hub.device(
        "works",
        &working,
        "AA00000000000002",
        json!({"driver": "a/works:1"}),
    )
    .await;

    let over = AtomicUsize::new(0);
    let loops = join_all((0..LOOPING).map(|_| async {
        hub.uplink(&looping, "AA00000000000001").await;
        over.fetch_add(1, Ordering::Relaxed);
    }));
    let works = async {
        // All the others stand in the queue once the first of them is over.
        crate::eventually("the looping driver's first call is over", async || {
            (over.load(Ordering::Relaxed) > 0).then_some(())
        })
        .await;
        join_all((0..WORKING).map(|_| hub.uplink(&working, "AA00000000000002"))).await;
        over.load(Ordering::Relaxed)
    };
    let (_, over_by_then) = join(loops, works).await;
    // In order of arrival it would be all of them; the number depends on how quickly the others come.
    assert!(
        over_by_then < LOOPING * 3 / 4,
        "{over_by_then} of {LOOPING} endless calls were served first"
    );

    let decoded = hub.list("devices/works/uplinks?limit=100").await;
    assert_eq!(decoded.len(), WORKING);
    for uplink in decoded {
        assert_eq!(uplink["data"], json!({"first": 1}), "{uplink}");
    }
    hub.token = first;
    let failed = hub.list("devices/loops/uplinks?limit=100").await;
    assert_eq!(failed.len(), LOOPING);
    for uplink in failed {
        assert_eq!(uplink["data"], Value::Null);
        assert_eq!(uplink["error"]["kind"], "cpu_time", "{uplink}");
    }
}

/// A 503 makes the network server send the uplink again: better than an uplink that nobody decoded.
async fn an_uplink_that_finds_the_queue_full_is_sent_again(database: Database) {
    let tight = [
        "--driver-workers",
        "1",
        "--driver-queue-max",
        "1",
        "--driver-tenant-queue-max",
        "1",
    ];
    let hub = Hub::start_with(database, &[&PATIENT[..], &tight].concat()).await;
    let connection = hub.connect("tts").await;
    let script = "function decode(b) { for (var i = 0; i < 3e5; i++); return {n: b[0]}; }";
    hub.push("a/b", "1", script).await;
    const EUI: &str = "AA00000000000001";
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    let (mut taken, mut refused, sent) = (0, 0, AtomicUsize::new(0));
    while refused == 0 {
        let uplinks = (0..16).map(async |_| {
            let mut message: Value = serde_json::from_str(&things_stack(EUI)).unwrap();
            message["uplink_message"]["f_cnt"] = sent.fetch_add(1, Ordering::Relaxed).into();
            hub.ingest(&connection, message.to_string()).await
        });
        for answer in join_all(uplinks).await {
            match answer.status {
                200 => taken += 1,
                _ => {
                    assert_eq!(answer.refused(503), "too many drivers are waiting to run");
                    refused += 1;
                }
            }
        }
    }
    // Uplinks that were answered with 200 are decoded, and the others are not there.
    let uplinks = hub.list("devices/d/uplinks").await;
    assert_eq!(uplinks.len(), taken);
    assert!(taken > 0 && uplinks.iter().all(|uplink| uplink["error"].is_null()));
    assert!(uplinks.iter().all(|uplink| uplink["data"]["n"].is_number()));
    assert!(hub.list("devices/d/events").await.is_empty());
}
