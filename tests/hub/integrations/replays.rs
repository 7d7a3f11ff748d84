//! Replays: stored uplinks that an integration forwards once more.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    integrations::rules::{EUIS, deliveries, device_of, hub, integration},
    support::{
        database::{Database, on_both_databases},
        sink::Sink,
    },
};

on_both_databases!(stored_uplinks_are_replayed, a_replay_of_a_dead_hub_goes_on,);

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
