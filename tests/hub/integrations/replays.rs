//! Replays: stored uplinks that an integration forwards once more.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    integrations::rules::{EUIS, deliveries, device_of, hub, integration},
    support::{
        database::{Database, on_both_databases},
        server::Hub,
        sink::Sink,
    },
};

on_both_databases!(
    stored_uplinks_are_replayed,
    a_replay_of_a_dead_hub_goes_on,
    a_replay_waits_while_5000_deliveries_do,
);

const ALL_TIMES: &str = "2020-01-01T00:00:00Z/2099-01-01T00:00:00Z";

async fn stored_uplinks_are_replayed(database: Database) {
    let (hub, connection) = hub(database).await;
    hub.push("a/b", "1", "function decode() { return {t: 21} }")
        .await;
    let more = json!({"driver": "a/b:1"});
    hub.device("d2", &connection, "AA00000000000003", more)
        .await;
    let mut sent = Vec::new();
    for eui in [EUIS[0], "AA00000000000003", EUIS[1], EUIS[0]] {
        sent.push(hub.uplink(&connection, eui).await);
    }
    let sink = Sink::willing().await;
    let path = integration(&hub, &sink.url, json!({})).await;
    let replay = async |body: Value| {
        let begun = hub.post(&format!("{path}/replay"), &body).await.created();
        let one = format!("{path}/replays/{}", begun["id"]);
        eventually("the replay is done", async || {
            let found = hub.get(&one).await.ok();
            Some(found).filter(|found| found["state"] == "done")
        })
        .await
    };
    let all = json!({"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"});
    assert_eq!(replay(all.clone()).await["queued"], 4);
    let delivered = deliveries(&hub, &path, "delivered", 4).await;
    let uplinks: Vec<&Value> = delivered.iter().map(|one| &one["uplink_id"]).collect();
    assert_eq!(uplinks, sent.iter().collect::<Vec<_>>());
    // A replayed message reads like one that is forwarded at once.
    hub.uplink(&connection, "AA00000000000003").await;
    let received = sink.gets(5).await;
    let of_driver = |body: &&Value| device_of(body) == "d2";
    let mut bodies = received.iter().map(|one| &one.body).filter(of_driver);
    let (mut old, mut new) = (
        bodies.next().unwrap().clone(),
        bodies.next().unwrap().clone(),
    );
    assert_eq!(old["data"], json!({"t": 21}));
    for body in [&mut old, &mut new] {
        body["uplink_metadata"]["last_data_received"]["received_at"] = Value::Null;
        body["f_cnt_up"] = Value::Null;
    }
    assert_eq!(old, new);

    let mut one = all.clone();
    one["device_id"] = "d0".into();
    assert_eq!(replay(one.clone()).await["queued"], 2);
    let past = json!({"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"});
    assert_eq!(replay(past).await["queued"], 0);
    assert_eq!(hub.list(&format!("{path}/replays")).await.len(), 3);
    one["device_id"] = "nobody".into();
    hub.post(&format!("{path}/replay"), &one).await.refused(404);
    let turned = json!({"from": "2021-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"});
    hub.post(&format!("{path}/replay"), &turned)
        .await
        .refused(400);
}

async fn a_replay_of_a_dead_hub_goes_on(database: Database) {
    let (mut hub, connection) = hub(database).await;
    for _ in 0..3 {
        hub.uplink(&connection, EUIS[0]).await;
    }
    let sink = Sink::willing().await;
    let path = integration(&hub, &sink.url, json!({})).await;
    let span = "'2020-01-01T00:00:00+00:00', '2099-01-01T00:00:00+00:00'";
    let begun = format!(
        "INSERT INTO delivery_replays (tenant_id, created_at, updated_at, integration_id, state, \
         span_from, span_to, queued) SELECT tenant_id, created_at, created_at, id, 'running', {span}, 0 \
         FROM integrations"
    );
    // Another hub has begun it, and is no more.
    hub.sql(&begun).await;
    deliveries(&hub, &path, "delivered", 3).await;
    // This hub has begun another one, and is restarted.
    hub.end(Signal::SIGTERM).await;
    hub.sql(&begun).await;
    hub.start_again().await;
    deliveries(&hub, &path, "delivered", 6).await;
    assert_eq!(sink.received().len(), 6);
}

/// Adds waiting deliveries, which are due in a far future, to the integration.
async fn add_waiting(hub: &Hub, integration: &str, count: usize) {
    let (id, due) = match hub.database {
        Database::Sqlite => ("randomblob(16)", "'2099-01-01T00:00:00.000000+00:00'"),
        Database::Postgres(_) => ("gen_random_uuid()", "CAST('2099-01-01' AS timestamptz)"),
    };
    let columns =
        "device_id, subject_id, attempt, body, created_at, updated_at, kind, ordered, round_start";
    hub.sql(&format!(
        "INSERT INTO deliveries (tenant_id, integration_id, id, due_at, state, {columns}) WITH RECURSIVE numbers(n) AS \
         (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
         SELECT tenant_id, {integration}, {id}, {due}, 'pending', {columns} FROM (SELECT * FROM deliveries LIMIT 1) AS one, numbers"
    ))
    .await;
}

async fn a_replay_waits_while_5000_deliveries_do(database: Database) {
    let (hub, connection) = hub(database).await;
    for _ in 0..3 {
        hub.uplink(&connection, EUIS[0]).await;
    }
    let sink = Sink::willing().await;
    let path = integration(&hub, &sink.url, json!({})).await;
    let other = integration(&hub, &sink.url, json!({"name": "other"})).await;
    hub.post(&format!("{other}/pause"), &json!({})).await.ok();
    let (from, to) = ALL_TIMES.split_once('/').unwrap();
    let begin = async |path: &str| {
        let body = json!({"from": from, "to": to});
        let begun = hub.post(&format!("{path}/replay"), &body).await.created();
        format!("{path}/replays/{}", begun["id"])
    };
    let done = async |replay: &str| {
        eventually("the replay is done", async || {
            Some(hub.get(replay).await.ok()).filter(|found| found["state"] == "done")
        })
        .await
    };
    // One fewer than the bound does not hold it up.
    done(&begin(&path).await).await;
    deliveries(&hub, &path, "delivered", 3).await;
    let id = other.rsplit('/').next().unwrap();
    add_waiting(&hub, id, 4_999).await;
    let first = done(&begin(&other).await).await;
    assert_eq!(first["queued"], 3);

    // More wait now. Replays take turns, so when another one is over, it would be as well.
    let held_up = begin(&other).await;
    for _ in 0..3 {
        done(&begin(&path).await).await;
    }
    let found = hub.get(&held_up).await.ok();
    assert_eq!(
        (&found["state"], &found["queued"]),
        (&json!("running"), &json!(0))
    );
    hub.sql(&format!(
        "DELETE FROM deliveries WHERE integration_id = {id}"
    ))
    .await;
    assert_eq!(done(&held_up).await["queued"], 3);
    deliveries(&hub, &other, "pending", 3).await;
}
