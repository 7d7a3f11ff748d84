//! Queues of integrations that send nothing: they stay within the operator's bounds, and what is given up
//! says why.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually, eventually_within,
    integrations::rules::{EUIS, deliveries, integration},
    support::{
        database::{Database, on_both_databases},
        metrics::metric,
        server::{Connection, Hub},
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    a_paused_integration_keeps_the_newest,
    one_that_is_switched_off_keeps_the_newest,
    a_receiver_that_is_away_is_owed_the_newest,
    what_waits_behind_one_that_is_given_up_goes_on,
    what_has_waited_for_too_long_is_given_up,
);

const UPLINKS: usize = 12;
const KEPT: u64 = 5;

/// A hub on which few deliveries may wait, and failed ones for a long time.
async fn hub(database: Database) -> (Hub, Connection) {
    let flags = [
        "--delivery-queue-max",
        "5",
        "--delivery-schedule-s",
        "3600",
        "--outgoing-allow",
        "127.0.0.0/8",
    ];
    let hub = Hub::start_with(database, &flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d0", &connection, EUIS[0], json!({})).await;
    (hub, connection)
}

async fn send_uplinks(hub: &Hub, connection: &Connection) {
    for _ in 0..UPLINKS {
        hub.uplink(connection, EUIS[0]).await;
    }
}

/// Waits until so many were given up and so many wait, and answers the health.
async fn given_up(hub: &Hub, path: &str, given_up: u64, pending: u64) -> Value {
    let path = format!("{path}/health");
    let limit = std::time::Duration::from_secs(60);
    eventually_within(limit, "what is beyond the bound is given up", async || {
        let health = hub.get(&path).await.ok();
        let is_so = health["health"]["given_up"] == given_up && health["pending"] == pending;
        is_so.then_some(health)
    })
    .await
}

/// Fails unless the oldest are dead and say why, and the others wait.
async fn oldest_are_dead(hub: &Hub, path: &str) {
    let list = format!("{path}/deliveries?sort=created_at&limit=1000");
    let all = hub.list(&list).await;
    assert_eq!(all.len(), UPLINKS);
    let (old, new) = all.split_at(UPLINKS - KEPT as usize);
    for one in old {
        assert_eq!(one["state"], "dead", "{one}");
        let reason = one["last_error"].as_str().unwrap();
        assert_eq!(
            reason,
            "given up: 5 newer deliveries wait for the integration"
        );
    }
    assert!(new.iter().all(|one| one["state"] == "pending"), "{new:?}");
}

async fn a_paused_integration_keeps_the_newest(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::willing().await;
    let path = integration(&hub, &sink.url, json!({})).await;
    hub.post(&format!("{path}/pause"), &json!({})).await.ok();
    send_uplinks(&hub, &connection).await;
    let health = given_up(&hub, &path, 7, KEPT).await;
    assert_eq!(health["health"]["dead"], 7, "{health}");
    assert_eq!(health["health"]["failed_attempts"], 0, "{health}");
    assert_eq!(health["health"]["state"], "paused", "{health}");
    oldest_are_dead(&hub, &path).await;
    let counted = "thingshub_dead_letters_total{reason=\"given_up\"}";
    eventually("they are counted", async || {
        (metric(&hub, &hub.token, counted).await == 7.0).then_some(())
    })
    .await;

    hub.post(&format!("{path}/resume"), &json!({})).await.ok();
    deliveries(&hub, &path, "delivered", KEPT as usize).await;
    assert_eq!(sink.gets(KEPT as usize).await.len(), KEPT as usize);
    // A dead letter of this kind is sent again as any other.
    let dead = deliveries(&hub, &path, "dead", 7).await.remove(0);
    let again = format!("{path}/deliveries/{}/resend", dead["id"].as_str().unwrap());
    hub.post(&again, &json!({})).await.ok();
    deliveries(&hub, &path, "delivered", KEPT as usize + 1).await;
}

async fn one_that_is_switched_off_keeps_the_newest(database: Database) {
    let flags = ["--outgoing-allow", "127.0.0.0/8"];
    let mut hub = Hub::start_with(database, &flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d0", &connection, EUIS[0], json!({})).await;
    let sink = Sink::willing().await;
    let path = integration(&hub, &sink.url, json!({})).await;
    hub.post(&format!("{path}/pause"), &json!({})).await.ok();
    send_uplinks(&hub, &connection).await;
    let off = json!({"name": "erp", "selector": "", "enabled": false,
        "target": {"type": "http", "url": sink.url}});
    hub.put(&path, &off).await.ok();
    hub.post(&format!("{path}/resume"), &json!({})).await.ok();
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&["--delivery-queue-max", "5"]).await;
    given_up(&hub, &path, 7, KEPT).await;
    oldest_are_dead(&hub, &path).await;
}

async fn a_receiver_that_is_away_is_owed_the_newest(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::start(&[], Cue::Status(500)).await;
    let path = integration(&hub, &sink.url, json!({})).await;
    send_uplinks(&hub, &connection).await;
    let health = given_up(&hub, &path, 7, KEPT).await;
    assert_eq!(health["health"]["state"], "failing", "{health}");
    oldest_are_dead(&hub, &path).await;
}

async fn what_waits_behind_one_that_is_given_up_goes_on(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::start(&[Cue::Status(500)], Cue::Status(200)).await;
    let policy = json!({"delivery": {"ordered_by_device": true}});
    let path = integration(&hub, &sink.url, policy).await;
    // The first one fails, and all others wait behind it until it is given up.
    send_uplinks(&hub, &connection).await;
    let limit = std::time::Duration::from_secs(60);
    let counted = |health: &Value, name: &str| health["health"][name].as_u64().unwrap();
    let health = eventually_within(limit, "nothing waits any more", async || {
        let health = hub.get(&format!("{path}/health")).await.ok();
        let settled = counted(&health, "given_up") + counted(&health, "delivered");
        (health["pending"] == 0 && settled == UPLINKS as u64).then_some(health)
    })
    .await;
    assert!(counted(&health, "given_up") >= 1, "{health}");
    assert!(counted(&health, "delivered") >= KEPT, "{health}");
}

async fn what_has_waited_for_too_long_is_given_up(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::willing().await;
    let path = integration(&hub, &sink.url, json!({})).await;
    hub.post(&format!("{path}/pause"), &json!({})).await.ok();
    hub.uplink(&connection, EUIS[0]).await;
    // They were queued as long ago as a time-sorted id can say, and one was sent again since.
    let long_ago = "'1970-01-01T00:00:00+00:00'";
    for (number, updated_at) in [long_ago, "updated_at"].into_iter().enumerate() {
        let id = match &hub.database {
            Database::Sqlite => format!("x'0000000000007000800000000000000{number}'"),
            Database::Postgres(_) => format!("'00000000-0000-7000-8000-00000000000{number}'"),
        };
        hub.sql(&format!(
            "INSERT INTO deliveries (tenant_id, id, integration_id, device_id, subject_id, state, \
             attempt, due_at, body, created_at, updated_at) SELECT tenant_id, {id}, integration_id, \
             device_id, subject_id, 'pending', 0, due_at, body, {long_ago}, {updated_at} \
             FROM deliveries WHERE created_at > '2020-01-01T00:00:00+00:00' LIMIT 1"
        ))
        .await;
    }
    given_up(&hub, &path, 1, 2).await;
    let dead = deliveries(&hub, &path, "dead", 1).await.remove(0);
    let reason = dead["last_error"].as_str().unwrap();
    assert_eq!(
        reason,
        "given up: it has waited for 720 hours without an attempt"
    );
}
