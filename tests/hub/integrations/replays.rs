//! Replays: stored uplinks that an integration forwards once more.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    integrations::rules::{EUIS, deliveries, device_of, hub, integration},
    support::{
        database::{Database, on_both_databases},
        server::Hub,
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    stored_uplinks_are_replayed,
    a_replay_has_what_its_selector_and_its_span_choose,
    a_replay_keeps_the_order_of_a_device,
    a_replay_of_a_dead_hub_goes_on,
    a_replay_waits_while_5000_deliveries_do,
);

const ALL_TIMES: &str = "2020-01-01T00:00:00Z/2099-01-01T00:00:00Z";

/// Begins a replay; returns it when it is done.
async fn replayed(hub: &Hub, integration: &str, span: &Value) -> Value {
    let begun = hub.post(&format!("{integration}/replay"), span).await;
    done(
        hub,
        &format!("{integration}/replays/{}", begun.created()["id"]),
    )
    .await
}

/// Waits until the replay is done.
async fn done(hub: &Hub, replay: &str) -> Value {
    eventually("the replay is done", async || {
        Some(hub.get(replay).await.ok()).filter(|found| found["state"] == "done")
    })
    .await
}

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
    let replay = async |body: Value| replayed(&hub, &path, &body).await;
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
    let replays = hub.list(&format!("{path}/replays")).await;
    assert_eq!(replays.len(), 3);
    let other = integration(&hub, &sink.url, json!({"name": "other"})).await;
    let id = &replays[0]["id"];
    hub.get(&format!("{path}/replays/{id}")).await.ok();
    hub.get(&format!("{other}/replays/{id}")).await.refused(404);
    one["device_id"] = "nobody".into();
    hub.post(&format!("{path}/replay"), &one).await.refused(404);
    let turned = json!({"from": "2021-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"});
    hub.post(&format!("{path}/replay"), &turned)
        .await
        .refused(400);
}

async fn a_replay_has_what_its_selector_and_its_span_choose(database: Database) {
    let (hub, connection) = hub(database).await;
    let kept = json!({"labels": ["kept"]});
    hub.device("d2", &connection, "AA00000000000003", kept)
        .await;
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent.push(hub.uplink(&connection, "AA00000000000003").await);
        hub.uplink(&connection, EUIS[0]).await;
    }
    let stored = hub.list("devices/d2/uplinks").await;
    let time = |uplink: &Value| uplink["received_at"].as_str().unwrap().to_owned();
    let times: Vec<_> = stored.iter().rev().map(time).collect();
    let sink = Sink::willing().await;
    let (first, last) = ALL_TIMES.split_once('/').unwrap();
    for (from, to, expected) in [
        (first, last, &sent[..]),
        (&times[1], last, &sent[1..]),
        // The first bound is within the span, the last is not.
        (first, &times[1], &sent[..1]),
        (&times[1], &times[2], &sent[1..2]),
    ] {
        let name = format!("from {from} to {to}");
        let chosen = json!({"selector": "kept", "name": name});
        let path = integration(&hub, &sink.url, chosen).await;
        let span = json!({"from": from, "to": to});
        replayed(&hub, &path, &span).await;
        let delivered = deliveries(&hub, &path, "delivered", expected.len()).await;
        let uplinks: Vec<_> = delivered.iter().map(|one| &one["uplink_id"]).collect();
        assert_eq!(json!(uplinks), json!(expected), "{name}");
    }
}

async fn a_replay_keeps_the_order_of_a_device(database: Database) {
    let (hub, connection) = hub(database).await;
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(hub.uplink(&connection, EUIS[0]).await);
    }
    let failing = [Cue::Status(400), Cue::Status(500)];
    let sink = Sink::start(&failing, Cue::Status(200)).await;
    let policy = json!({"delivery": {"ordered_by_device": true, "schedule_s": [0, 0]}});
    let path = integration(&hub, &sink.url, policy).await;
    let (from, to) = ALL_TIMES.split_once('/').unwrap();
    replayed(&hub, &path, &json!({"from": from, "to": to})).await;
    let delivered = deliveries(&hub, &path, "delivered", 5).await;
    let id_of = |uplink: &String| {
        let found = delivered.iter().find(|one| one["uplink_id"] == *uplink);
        found.unwrap()["id"].as_str().unwrap()
    };
    let mut expected: Vec<_> = sent.iter().map(id_of).collect();
    expected.splice(0..1, [expected[0]; 3]);
    let received = sink.received();
    let order: Vec<_> = received
        .iter()
        .map(|one| one.header("webhook-id"))
        .collect();
    assert_eq!(order, expected);
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
    // One fewer than the bound does not hold it up.
    done(&hub, &begin(&path).await).await;
    deliveries(&hub, &path, "delivered", 3).await;
    let id = other.rsplit('/').next().unwrap();
    add_waiting(&hub, id, 4_999).await;
    let first = done(&hub, &begin(&other).await).await;
    assert_eq!(first["queued"], 3);

    // More wait now. Replays take turns, so when another one is over, it would be as well.
    let held_up = begin(&other).await;
    for _ in 0..3 {
        done(&hub, &begin(&path).await).await;
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
    assert_eq!(done(&hub, &held_up).await["queued"], 3);
    deliveries(&hub, &other, "pending", 3).await;
}
