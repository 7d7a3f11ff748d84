//! Downlinks on their way: tried again, in order, moved by the networks' reports, and what their settings keep.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        metrics::metric,
        network_server::NetworkServer,
        server::{Connection, Hub},
    },
};

on_both_databases!(
    what_fails_is_tried_again_and_what_is_refused_is_given_up,
    one_device_s_downlinks_go_one_after_another_by_priority,
    one_that_is_being_sent_is_not_overtaken,
    what_waits_too_long_expires,
    what_is_being_sent_does_not_expire,
    what_the_network_tells_moves_a_downlink,
    what_the_network_tells_during_the_last_attempt_counts,
    a_private_address_is_refused,
    a_queued_downlink_outlives_a_kill,
    settings_keep_their_secrets,
);

pub const EUI: &str = "AA00000000000001";
pub const TO_HERE: [&str; 4] = [
    "--outgoing-allow",
    "127.0.0.0/8",
    "--downlink-schedule-s",
    "0,0,0",
];

/// A hub with a connection and a device `d` behind it.
pub async fn hub(database: Database, flags: &[&str]) -> (Hub, Connection) {
    let hub = Hub::start_with(database, flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    (hub, connection)
}

/// Queues a downlink for `d`.
pub async fn queue(hub: &Hub, more: Value) -> Value {
    let mut body = json!({"payload_hex": "beef", "f_port": 15});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    hub.post("devices/d/downlinks", &body).await.created()
}

/// Settings of a network server that gets any request.
pub fn http(server: &NetworkServer) -> Value {
    json!({"type": "http", "method": "POST", "url": format!("{}/down", server.url),
        "body": r#"{"id": "{{downlink_id}}", "payload": "{{payload_hex}}"}"#})
}

async fn what_fails_is_tried_again_and_what_is_refused_is_given_up(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let cues = [503, 429, 200, 404, 500, 500, 500, 500]
        .map(|status| (Some(status), json!({"message": "says why"})));
    let server = NetworkServer::start(cues.to_vec()).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    let queued = queue(&hub, json!({})).await;
    let sent = hub.downlink_gets(&queued, "sent").await;
    assert_eq!(
        (&sent["attempts"], &sent["last_error"]),
        (&json!(3), &Value::Null)
    );
    // A failure that another attempt would not change is not tried again.
    let refused = queue(&hub, json!({})).await;
    let failed = hub.downlink_gets(&refused, "failed").await;
    assert_eq!(
        (&failed["attempts"], &failed["last_status"]),
        (&json!(1), &json!(404))
    );
    let error = failed["last_error"].as_str().unwrap();
    assert!(
        error.contains("404") && error.contains("says why"),
        "{error}"
    );
    let lost = queue(&hub, json!({})).await;
    let failed = hub.downlink_gets(&lost, "failed").await;
    assert_eq!(failed["attempts"], 4);
    assert_eq!(server.asked().len(), 8);
    let events = hub.list("devices/d/events?kind=downlink_failed").await;
    assert_eq!(events.len(), 2);
    // An attempt that is made again is no event.
    let events = hub.list("devices/d/events").await;
    let told: Vec<&str> = events
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .filter(|kind| kind.starts_with("downlink"))
        .collect();
    let wanted = ["sent", "failed", "failed"]
        .map(|end| [format!("downlink_{end}"), "downlink_queued".to_owned()]);
    let wanted: Vec<String> = wanted.into_iter().rev().flatten().collect();
    assert_eq!(told, wanted);
}

async fn one_device_s_downlinks_go_one_after_another_by_priority(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let server = NetworkServer::start(vec![]).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    hub.switch(&connection, "tts", false).await;
    let mut queued = Vec::new();
    for priority in ["normal", "low", "high", "normal", "high"] {
        queued.push(queue(&hub, json!({"priority": priority})).await["id"].clone());
    }
    hub.switch(&connection, "tts", true).await;
    let asked = server.is_asked(5).await;
    let ids: Vec<Value> = asked
        .iter()
        .map(|asked| asked.json()["id"].clone())
        .collect();
    let wanted = [2, 4, 0, 3, 1].map(|index: usize| queued[index].clone());
    assert_eq!(ids, wanted);
}

async fn one_that_is_being_sent_is_not_overtaken(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    hub.device("other", &connection, "AA00000000000002", json!({}))
        .await;
    let server = NetworkServer::start(vec![(None, json!({}))]).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    queue(&hub, json!({"priority": "low"})).await;
    server.is_asked(1).await;
    let urgent = queue(&hub, json!({"priority": "high"})).await;
    // The connection's lane has been at the queue again when it sends this one.
    let body = json!({"payload_hex": "01", "f_port": 1});
    let other = hub.post("devices/other/downlinks", &body).await.created();
    let asked = server.is_asked(2).await;
    assert_eq!(asked[1].json()["id"], other["id"]);
    let path = format!("devices/d/downlinks/{}", urgent["id"].as_str().unwrap());
    let waits = hub.get(&path).await.ok();
    assert_eq!(
        (&waits["state"], &waits["attempts"]),
        (&json!("queued"), &json!(0))
    );
    assert_eq!(server.asked().len(), 2);
}

async fn what_waits_too_long_expires(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let server = NetworkServer::start(vec![]).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    hub.switch(&connection, "tts", false).await;
    let queued = queue(&hub, json!({"expires_in_s": 1})).await;
    let expired = hub.downlink_gets(&queued, "expired").await;
    assert_eq!(
        (&expired["attempts"], &expired["sent_at"]),
        (&json!(0), &Value::Null)
    );
    let events = hub.list("devices/d/events?kind=downlink_expired").await;
    assert_eq!(events.len(), 1);
    // Those behind it are sent, and it is not.
    hub.switch(&connection, "tts", true).await;
    let next = queue(&hub, json!({})).await;
    hub.downlink_gets(&next, "sent").await;
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].json()["id"], next["id"]);
}

async fn what_is_being_sent_does_not_expire(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let other = "AA00000000000002";
    hub.device("e", &connection, other, json!({})).await;
    let server = NetworkServer::start(vec![(None, json!({}))]).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    let queued = queue(&hub, json!({"expires_in_s": 1})).await;
    let expires_at: chrono::DateTime<chrono::Utc> =
        queued["expires_at"].as_str().unwrap().parse().unwrap();
    server.is_asked(1).await;
    eventually("its time is over", async || {
        (thingshub::clock::now() > expires_at).then_some(())
    })
    .await;
    // The connection's lane has been at the queue again when it sends this one.
    let body = json!({"payload_hex": "01", "f_port": 1});
    hub.post("devices/e/downlinks", &body).await.created();
    server.is_asked(2).await;
    let kept = hub.downlink_gets(&queued, "queued").await;
    assert_eq!(kept["attempts"], 1, "{kept}");
}

async fn a_private_address_is_refused(database: Database) {
    let (mut hub, connection) = hub(database, &TO_HERE).await;
    let server = NetworkServer::start(vec![]).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    // The operator allows less than before.
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&["--downlink-schedule-s", "0"]).await;
    let queued = queue(&hub, json!({})).await;
    let failed = hub.downlink_gets(&queued, "failed").await;
    let error = failed["last_error"].as_str().unwrap();
    assert!(error.contains("outgoing_allow"), "{error}");
    assert!(server.asked().is_empty());
}

async fn a_queued_downlink_outlives_a_kill(database: Database) {
    let flags = [&TO_HERE[..], &["--downlink-timeout-s", "1"]].concat();
    let (mut hub, connection) = hub(database, &flags).await;
    let server = NetworkServer::start(vec![(None, Value::Null)]).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    let first = queue(&hub, json!({})).await;
    let second = queue(&hub, json!({})).await;
    // The hub is killed in the middle of the first attempt.
    server.is_asked(1).await;
    hub.end(Signal::SIGKILL).await;
    hub.start_again().await;
    for queued in [&first, &second] {
        hub.downlink_gets(queued, "sent").await;
    }
    let ids: Vec<Value> = server
        .asked()
        .iter()
        .map(|asked| asked.json()["id"].clone())
        .collect();
    assert_eq!(
        ids,
        [&first["id"], &first["id"], &second["id"]].map(Value::clone)
    );
}

async fn settings_keep_their_secrets(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let path = format!("network-connections/{}/downlink-settings", connection.id);
    hub.get(&path).await.refused(404);
    let server = NetworkServer::start(vec![]).await;
    let with =
        |token: Value| json!({"type": "chirpstack", "base_url": server.url, "api_token": token});
    let put = async |settings: Value| hub.put(&path, &json!({"settings": settings})).await;
    let error = put(json!({"type": "chirpstack", "base_url": server.url})).await;
    assert!(
        error
            .refused(400)
            .starts_with("settings.api_token: is required")
    );
    let set = hub
        .sends_downlinks(&connection, &with("s3cr3t".into()))
        .await;
    assert_eq!(
        set["settings"],
        json!({"type": "chirpstack", "base_url": server.url})
    );
    assert_eq!(set["has_secret"], true);
    assert_eq!(hub.get(&path).await.ok(), set);
    // Left out, it stays; with another type it is another secret.
    put(json!({"type": "chirpstack", "base_url": server.url}))
        .await
        .ok();
    queue(&hub, json!({})).await;
    let asked = server.is_asked(1).await.remove(0);
    assert_eq!(asked.header("grpc-metadata-authorization"), "Bearer s3cr3t");
    let loriot = json!({"type": "loriot", "url": server.url, "application_id": "a"});
    put(loriot).await.refused(400);
    for (settings, told) in [
        (json!({"type": "carrier_pigeon"}), "type"),
        (
            json!({"type": "http", "method": "GET", "url": server.url}),
            "method",
        ),
        (
            json!({"type": "http", "method": "POST", "url": "https://x/{{nonsense}}"}),
            "settings.url: the placeholder {{nonsense}} is unknown",
        ),
        (
            json!({"type": "http", "method": "POST", "url": server.url, "body": "{{nonsense}}"}),
            "settings.body: the placeholder {{nonsense}} is unknown",
        ),
        (json!({"type": "sigfox", "more": 1}), "more"),
    ] {
        let error = put(settings).await.refused(400);
        assert!(error.contains(told), "{error}");
    }
    let audit = hub.get("audit-log?limit=1000").await;
    assert!(!audit.text.contains("s3cr3t"));
    hub.delete(&path).await.ok();
    hub.get(&path).await.refused(404);
    let body = json!({"payload_hex": "beef", "f_port": 15});
    hub.post("devices/d/downlinks", &body).await.refused(400);
    // What is sent by other settings goes to nobody else.
    let other = NetworkServer::start(vec![]).await;
    hub.sends_downlinks(&connection, &http(&other)).await;
    queue(&hub, json!({})).await;
    other.is_asked(1).await;
    assert_eq!(server.asked().len(), 1);
    hub.put(
        "network-connections/99/downlink-settings",
        &json!({"settings": {"type": "sigfox"}}),
    )
    .await
    .refused(404);
}

/// A message of The Things Stack about a downlink.
fn news(kind: &str, correlation: &str) -> String {
    let message = json!({"f_cnt": 7, "correlation_ids": ["as:downlink:01E19B", correlation]});
    json!({"end_device_ids": {"device_id": "dev1", "dev_eui": EUI,
        "application_ids": {"application_id": "app1"}}, kind: message})
    .to_string()
}

async fn what_the_network_tells_moves_a_downlink(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let server = NetworkServer::start(vec![]).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    let first = queue(&hub, json!({"confirmed": true})).await;
    let second = queue(&hub, json!({"confirmed": true})).await;
    for queued in [&first, &second] {
        hub.downlink_gets(queued, "sent").await;
    }
    let tell = async |kind: &str, correlation: &str| {
        let receipt = hub.ingest(&connection, news(kind, correlation)).await.ok();
        assert_eq!(receipt["status"], "other", "{receipt}");
    };
    let correlation =
        |downlink: &Value| format!("thingshub:downlink:{}", downlink["id"].as_str().unwrap());
    // The second one first: news belong to the downlink that they name.
    tell("downlink_sent", &correlation(&second)).await;
    let moved = hub.downlink_gets(&second, "sent").await;
    assert!(moved["transmitted_at"].is_string());
    assert_eq!(moved["f_cnt_down"], 7);
    tell("downlink_ack", &correlation(&second)).await;
    hub.downlink_gets(&second, "acknowledged").await;
    let untouched = hub.downlink_gets(&first, "sent").await;
    assert_eq!(untouched["transmitted_at"], Value::Null);
    // The stack sends what was not confirmed again.
    tell("downlink_nack", &correlation(&first)).await;
    let waiting = hub.downlink_gets(&first, "sent").await;
    assert_eq!(waiting["last_error"], "the device has not confirmed it yet");
    tell("downlink_sent", &correlation(&first)).await;
    tell("downlink_ack", &correlation(&first)).await;
    let confirmed = hub.downlink_gets(&first, "acknowledged").await;
    assert_eq!(confirmed["last_error"], Value::Null);
    // Settled downlinks stay as they are, and news of downlinks that the hub has not sent moves nothing.
    tell("downlink_nack", &correlation(&first)).await;
    tell(
        "downlink_ack",
        "thingshub:downlink:0198c5d2-7a60-7c3e-9d0f-3c1f6f1f8a11",
    )
    .await;
    hub.downlink_gets(&first, "acknowledged").await;
    let kinds = hub
        .list("devices/d/events?kind=downlink_acknowledged")
        .await;
    assert_eq!(kinds.len(), 3);
}

async fn what_the_network_tells_during_the_last_attempt_counts(database: Database) {
    let flags = ["--downlink-schedule-s", "0", "--downlink-timeout-s", "1"];
    let (hub, connection) = hub(database, &[&TO_HERE[..2], &flags].concat()).await;
    let other = "AA00000000000002";
    hub.device("e", &connection, other, json!({})).await;
    let hangs = || (None, json!({}));
    let cues = vec![(Some(500), json!({})), hangs(), hangs(), hangs()];
    let server = NetworkServer::start(cues).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    let queued = queue(&hub, json!({"confirmed": true})).await;
    server.is_asked(2).await;
    let correlation = format!("thingshub:downlink:{}", queued["id"].as_str().unwrap());
    let report = news("downlink_ack", &correlation);
    hub.ingest(&connection, report).await.ok();
    hub.downlink_gets(&queued, "acknowledged").await;
    // Attempts that begin later end later, so that the first one has ended by then.
    let body = json!({"payload_hex": "beef", "f_port": 15});
    hub.post("devices/e/downlinks", &body).await.created();
    eventually("the other downlink is given up", async || {
        let failed = hub.list("devices/e/events?kind=downlink_failed").await;
        (failed.len() == 1).then_some(())
    })
    .await;
    let events = hub.list("devices/d/events?kind=downlink_failed").await;
    assert!(events.is_empty(), "{events:?}");
    let kept = hub.downlink_gets(&queued, "acknowledged").await;
    assert_eq!(
        (&kept["attempts"], &kept["last_error"]),
        (&json!(2), &Value::Null)
    );
    let failed = "thingshub_downlinks_total{outcome=\"failed\"}";
    assert_eq!(metric(&hub, &hub.token, failed).await, 1.0);
}
