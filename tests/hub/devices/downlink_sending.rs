//! Downlinks on their way: handed over as each network server wants them, tried again, in order, and
//! moved by the networks' reports.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    network_server::NetworkServer,
    server::{Connection, Hub},
};

on_both_databases!(
    the_things_stack_is_pushed_to_over_its_webhook,
    chirpstack_is_given_an_item_for_its_queue,
    every_other_network_server_gets_what_it_wants,
    sigfox_finds_it_in_the_answer_to_a_device_that_asks,
    what_fails_is_tried_again_and_what_is_refused_is_given_up,
    one_device_s_downlinks_go_one_after_another_by_priority,
    one_that_is_being_sent_is_not_overtaken,
    what_waits_too_long_expires,
    what_the_network_tells_moves_a_downlink,
    a_private_address_is_refused,
    a_queued_downlink_outlives_a_kill,
    settings_keep_their_secrets,
);

const EUI: &str = "AA00000000000001";
const TO_HERE: [&str; 4] = [
    "--outgoing-allow",
    "127.0.0.0/8",
    "--downlink-schedule-s",
    "0,0,0",
];

/// A hub with a connection and a device `d` behind it.
async fn hub(database: Database, flags: &[&str]) -> (Hub, Connection) {
    let hub = Hub::start_with(database, flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    (hub, connection)
}

async fn queue(hub: &Hub, more: Value) -> Value {
    let mut body = json!({"payload_hex": "beef", "f_port": 15});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    hub.post("devices/d/downlinks", &body).await.created()
}

fn http(server: &NetworkServer) -> Value {
    json!({"type": "http", "method": "POST", "url": format!("{}/down", server.url),
        "body": r#"{"id": "{{downlink_id}}", "payload": "{{payload_hex}}"}"#})
}

async fn the_things_stack_is_pushed_to_over_its_webhook(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let server = NetworkServer::start(vec![]).await;
    let settings = json!({"type": "the_things_stack", "base_url": server.url,
        "webhook_id": "hub", "api_key": "NNSXS.SECRET"});
    hub.sends_downlinks(&connection, &settings).await;
    hub.uplink(&connection, EUI).await;
    let queued = queue(&hub, json!({"confirmed": true, "priority": "high"})).await;
    let asked = server.is_asked(1).await.remove(0);
    assert_eq!(asked.method, "POST");
    let names = hub.list("devices/d/uplinks").await[0]["radio"]["network"].clone();
    let (application, device) = (names["application"].as_str(), names["device"].as_str());
    assert_eq!(
        asked.path,
        format!(
            "/api/v3/as/applications/{}/webhooks/hub/devices/{}/down/push",
            application.unwrap(),
            device.unwrap()
        )
    );
    assert_eq!(asked.header("authorization"), "Bearer NNSXS.SECRET");
    let correlation = format!("thingshub:downlink:{}", queued["id"].as_str().unwrap());
    let wanted = json!({"frm_payload": "vu8=", "f_port": 15, "confirmed": true,
        "priority": "HIGH", "correlation_ids": [correlation]});
    assert_eq!(asked.json(), json!({"downlinks": [wanted]}));
    let sent = hub.downlink_gets(&queued, "sent").await;
    assert_eq!(
        (
            &sent["last_status"],
            &sent["attempts"],
            &sent["next_attempt_at"]
        ),
        (&json!(200), &json!(1), &Value::Null)
    );
    assert!(sent["sent_at"].is_string());
    let events = hub.list("devices/d/events?kind=downlink_sent").await;
    assert_eq!(events[0]["details"]["downlink_id"], queued["id"]);
}

async fn chirpstack_is_given_an_item_for_its_queue(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let server = NetworkServer::start(vec![(Some(200), json!({"id": "item-7"}))]).await;
    let settings = json!({"type": "chirpstack", "base_url": server.url, "api_token": "token"});
    hub.sends_downlinks(&connection, &settings).await;
    let queued = queue(&hub, json!({})).await;
    let asked = server.is_asked(1).await.remove(0);
    assert_eq!(asked.path, "/api/devices/aa00000000000001/queue");
    assert_eq!(asked.header("grpc-metadata-authorization"), "Bearer token");
    let item = json!({"confirmed": false, "data": "vu8=", "fPort": 15});
    assert_eq!(asked.json(), json!({"queueItem": item}));
    let sent = hub.downlink_gets(&queued, "sent").await;
    assert_eq!(sent["network_reference"], "item-7");
}

async fn every_other_network_server_gets_what_it_wants(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let refusal = (Some(200), json!({"error": "no such device"}));
    let well = || (Some(200), json!({}));
    let server = NetworkServer::start(vec![well(), well(), refusal, well()]).await;
    let url = |path: &str| format!("{}{path}", server.url);

    let settings = json!({"type": "actility", "url": url("/thingpark/lrc/rest/downlink"),
        "as_id": "app.example", "as_key": "46ab678cd45df4a4e4b375eacd096acc"});
    hub.sends_downlinks(&connection, &settings).await;
    let queued = queue(&hub, json!({"confirmed": true})).await;
    let sent = hub.downlink_gets(&queued, "sent").await;
    let path = server.asked()[0].path.clone();
    let reference = sent["network_reference"].as_str().unwrap();
    let start = format!(
        "/thingpark/lrc/rest/downlink?DevEUI={EUI}&FPort=15&Payload=beef&CorrelationID={reference}&Confirmed=1&AS_ID=app.example&Time="
    );
    assert!(path.starts_with(&start), "{path}");
    assert!(path.contains("&Token="), "{path}");

    let settings = json!({"type": "loriot", "url": url("/1/rest"), "application_id": "be7a0000",
        "token": "t"});
    hub.sends_downlinks(&connection, &settings).await;
    let queued = queue(&hub, json!({})).await;
    hub.downlink_gets(&queued, "sent").await;
    let asked = &server.asked()[1];
    assert_eq!(asked.header("authorization"), "Bearer t");
    assert_eq!(asked.json()["cmd"], "tx");
    assert_eq!(asked.json()["data"], "beef");
    let refused = queue(&hub, json!({})).await;
    let failed = hub.downlink_gets(&refused, "failed").await;
    let error = failed["last_error"].as_str().unwrap();
    assert!(error.contains("no such device"), "{error}");

    let mut settings = http(&server);
    settings["method"] = "PUT".into();
    settings["authorization"] = "Basic x".into();
    hub.sends_downlinks(&connection, &settings).await;
    let queued = queue(&hub, json!({})).await;
    hub.downlink_gets(&queued, "sent").await;
    let asked = &server.asked()[3];
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("PUT", "/down")
    );
    assert_eq!(asked.header("authorization"), "Basic x");
    assert_eq!(asked.json(), json!({"id": queued["id"], "payload": "beef"}));
}

async fn sigfox_finds_it_in_the_answer_to_a_device_that_asks(database: Database) {
    const DEVICE: &str = "1A2345";
    let hub = Hub::start(database).await;
    let settings = json!({"name": "sigfox", "settings": {"type": "sigfox"}});
    let connection = hub.connect_as(&settings).await;
    hub.device("d", &connection, DEVICE, json!({})).await;
    hub.sends_downlinks(&connection, &json!({"type": "sigfox"}))
        .await;
    let short = hub
        .post("devices/d/downlinks", &json!({"payload_hex": "beef"}))
        .await;
    let rule = short.refused(400);
    assert_eq!(rule, "payload_hex: must have exactly 8 bytes for Sigfox");
    let eight = json!({"payload_hex": "0102030405060708", "confirmed": true});
    let queued = queue(&hub, eight).await;
    // The documented body with the values that the backend sends.
    let callback = async |number: u32, ack: bool| {
        let body = json!({"device": DEVICE, "data": "b0513801", "time": "1512814827",
            "seqNumber": number.to_string(), "station": "1D44", "rssi": "-123.00", "snr": "18.86",
            "ack": ack.to_string()});
        let receipt = hub.ingest(&connection, body.to_string()).await.ok();
        assert_eq!(receipt["status"], "recorded", "{receipt}");
        receipt[DEVICE].clone()
    };
    assert_eq!(callback(1508, false).await, Value::Null);
    hub.downlink_gets(&queued, "queued").await;
    let answered = json!({"downlinkData": "0102030405060708"});
    assert_eq!(callback(1509, true).await, answered);
    hub.downlink_gets(&queued, "sent").await;
    let metrics = hub.get("/metrics").await.text;
    assert!(metrics.contains("thingshub_downlinks_total{outcome=\"answered\"} 1\n"));
    let nothing = json!({"noData": true});
    assert_eq!(callback(1510, true).await, nothing, "once is enough");
    assert_eq!(callback(1511, false).await, Value::Null, "it does not ask");
    // If a device asks for a downlink, Sigfox takes any other answer for a failure, even if the message was
    // recorded.
    let ask = |device: &str| json!({"device": device, "data": "b0513801", "time": "1512814827", "seqNumber": "1510", "ack": true});
    for (device, status) in [(DEVICE, "duplicate"), ("1A2346", "unknown_device")] {
        let answer = hub.ingest(&connection, ask(device).to_string()).await.ok();
        assert_eq!(answer["status"], status, "{answer}");
        assert_eq!(answer[device], nothing, "{answer}");
    }
    let emitted = json!({"device": DEVICE, "time": "1512814900", "infoCode": "0",
        "infoMessage": "Acked", "downlinkAck": "true"});
    hub.ingest(&connection, emitted.to_string()).await.ok();
    // A base station has sent it: Sigfox knows no more.
    let sent = hub.downlink_gets(&queued, "sent").await;
    assert!(sent["transmitted_at"].is_string(), "{sent}");
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
    assert!(server.asked().is_empty());
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
