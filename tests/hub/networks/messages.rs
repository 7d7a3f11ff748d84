//! Messages of network servers: every kind, copies, and late ones.

use serde_json::{Value, json};

use crate::{
    sample, sample_json,
    support::{
        database::{Database, on_both_databases},
        server::{Answer, Connection, Hub},
    },
};

on_both_databases!(
    each_network_server_is_understood,
    news_become_events_of_their_kinds,
    the_error_rate_tells_of_the_last_hour,
    a_copy_of_a_frame_is_no_uplink,
    copies_at_once_are_one_uplink,
    a_late_frame_changes_nothing_newer,
    thingpark_must_sign_where_the_key_is_known,
);

pub async fn connect(hub: &Hub, kind: &str) -> Connection {
    let body = json!({"name": kind, "settings": {"type": kind}});
    hub.connect_as(&body).await
}

/// Posts a message with query parameters, as ChirpStack and ThingPark do.
pub async fn ingest(hub: &Hub, connection: &Connection, query: &str, body: Vec<u8>) -> Answer {
    let path = format!("network-connections/{}/uplinks?{query}", connection.id);
    let request = hub.request(reqwest::Method::POST, &path);
    let request = request
        .header("X-Ingest-Key", &connection.key)
        .header("Content-Type", "application/json")
        .body(body);
    hub.answer(request).await
}

async fn each_network_server_is_understood(database: Database) {
    let hub = Hub::start(database).await;
    let table = [
        (
            "the_things_stack",
            "0004A30B001C0530",
            "ttn_v3.json",
            "8241de",
        ),
        ("chirpstack", "0101010101010101", "chirpstack_v4.json", "aa"),
        (
            "actility",
            "0018B20000000B20",
            "actility_thingpark.json",
            "9e1c4852512000220020e3831071",
        ),
        (
            "loriot",
            "1000000000000001",
            "loriot.json",
            "0175640367180104686d",
        ),
        (
            "kerlink",
            "343737394A336F09",
            "kerlink_wanesy.json",
            "0027800bddfd773b447bf9fede870046",
        ),
        (
            "sigfox",
            "1A2345",
            "sigfox.json",
            "b0513801a421f0019405a500",
        ),
        ("everynet", "0018B20000000001", "everynet.json", "01020304"),
        (
            "helium",
            "1C29FBD1D2084E21",
            "helium_console.json",
            "48656c6c6f2c20776f726c6421",
        ),
    ];
    for (kind, address, message, payload) in table {
        let connection = connect(&hub, kind).await;
        let id = kind.replace('_', "-");
        hub.device(&id, &connection, address, json!({})).await;
        let receipt = ingest(&hub, &connection, "", sample(message)).await.ok();
        assert_eq!(receipt["status"], "recorded", "{kind}");
        let uplinks = hub.list(&format!("devices/{id}/uplinks")).await;
        assert_eq!(uplinks[0]["raw"], payload, "{kind}");
        let path = format!("network-connections?type={kind}");
        assert_eq!(hub.list(&path).await.len(), 1, "{kind}");
    }
}

async fn news_become_events_of_their_kinds(database: Database) {
    let hub = Hub::start(database).await;
    let connection = connect(&hub, "chirpstack").await;
    hub.device("one", &connection, "0101010101010101", json!({}))
        .await;
    for (event, message, kind) in [
        ("join", "chirpstack_v4_join.json", "join"),
        ("ack", "chirpstack_v4_ack.json", "downlink_acknowledged"),
        ("txack", "chirpstack_v4_txack.json", "downlink_sent"),
        ("status", "chirpstack_v4_status.json", "status"),
        ("log", "chirpstack_v4_log.json", "network_error"),
        ("location", "chirpstack_v4_location.json", "location"),
        ("unheard_of", "chirpstack_v4_location.json", "message"),
    ] {
        let query = format!("event={event}");
        let receipt = ingest(&hub, &connection, &query, sample(message))
            .await
            .ok();
        assert_eq!(receipt["status"], "other", "{event}");
        let events = hub.list(&format!("devices/one/events?kind={kind}")).await;
        assert_eq!(events.len(), 1, "{kind}");
        assert_eq!(
            events[0]["details"]["network_device_id"],
            "0101010101010101"
        );
    }
    let status = hub.list("devices/one/events?kind=status").await.remove(0);
    assert_eq!(status["details"]["battery_percent"], 88.3);
    assert_eq!(status["details"]["margin_db"], 10.0);
    let location = hub.list("devices/one/events?kind=location").await.remove(0);
    let place = &location["details"];
    assert_eq!(
        (&place["altitude_m"], place.get("accuracy_m")),
        (&json!(2.0), None)
    );
    let error = ingest(&hub, &connection, "event=up", b"{}".to_vec()).await;
    let error = error.refused(400);
    assert!(
        error.starts_with("deviceInfo.devEui: is required"),
        "{error}"
    );
    let path = format!("network-connections/{}", connection.id);
    let health = hub.get(&path).await.ok()["health"].clone();
    let rate = health["error_rate"].as_f64().unwrap();
    // Not to the letter: the hour may just have ended.
    assert!((rate - 0.125).abs() < 0.01, "{health}");
}

async fn the_error_rate_tells_of_the_last_hour(database: Database) {
    let hub = Hub::start(database).await;
    while !told_within_an_hour(&hub).await {}
}

/// Returns whether the rate leaves copies out.
async fn leaves_copies_out(hub: &Hub) -> bool {
    let name = format!("copies-{}", uuid::Uuid::now_v7());
    let body = json!({"name": name, "settings": {"type": "loriot"}});
    let connection = hub.connect_as(&body).await;
    hub.device(&name, &connection, "1000000000000001", json!({}))
        .await;
    let refused = ingest(hub, &connection, "", b"[]".to_vec()).await;
    refused.refused(400);
    for status in ["recorded", "duplicate"] {
        let receipt = ingest(hub, &connection, "", sample("loriot.json")).await;
        assert_eq!(receipt.ok()["status"], status);
    }
    let path = format!("network-connections/{}", connection.id);
    hub.get(&path).await.ok()["health"]["error_rate"] == 0.5
}

/// Returns false when the clock's hour ended meanwhile: then the counts say nothing.
async fn told_within_an_hour(hub: &Hub) -> bool {
    let hour = || {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        since.as_secs() / 3600
    };
    let began = hour();
    let leaves_copies_out = leaves_copies_out(hub).await;
    let name = format!("loriot-{}", uuid::Uuid::now_v7());
    let body = json!({"name": name, "settings": {"type": "loriot"}});
    let connection = hub.connect_as(&body).await;
    let path = format!("network-connections/{}", connection.id);
    let health = async || hub.get(&path).await.ok()["health"].clone();
    let rate = async || health().await["error_rate"].as_f64().unwrap();
    let refuse = async || {
        let answer = ingest(hub, &connection, "", b"[]".to_vec()).await;
        answer.refused(400);
    };
    let take = async || {
        let answer = ingest(hub, &connection, "", sample("loriot.json")).await;
        answer.ok();
    };
    let pass = async |hours: u32| {
        let id = connection.id;
        hub.sql(&format!(
            "UPDATE connection_health SET recent_hour = recent_hour - {hours} WHERE connection_id = {id}"
        ))
        .await;
    };

    let mut rates = vec![rate().await];
    refuse().await;
    rates.push(rate().await);
    for _ in 0..3 {
        take().await;
    }
    rates.push(rate().await);
    refuse().await;
    rates.push(rate().await);

    // These messages count as those of the previous hour until the next one arrives, and then no more.
    pass(1).await;
    let all_the_same = rate().await;
    take().await;
    let diluted = rate().await;
    pass(1).await;
    take().await;
    let forgotten = rate().await;
    refuse().await;
    let anew = rate().await;
    pass(2).await;
    rates.extend([rate().await, forgotten]);
    if hour() != began {
        return false;
    }
    assert!(leaves_copies_out);
    assert_eq!(rates, [0.0, 1.0, 0.25, 0.4, 0.0, 0.0]);
    assert!((all_the_same - 0.4).abs() < 1e-9, "{all_the_same}");
    assert!(diluted > 0.0 && diluted < 0.4, "{diluted}");
    assert!(anew > 1.0 / 3.0 - 1e-9 && anew <= 0.5, "{anew}");
    let counts = health().await;
    assert_eq!(
        (&counts["malformed"], &counts["unknown_devices"]),
        (&json!(3), &json!(5)),
        "{counts}"
    );
    true
}

/// A frame of LORIOT.
pub fn frame(number: u64, at_ms: u64, payload: &str) -> Vec<u8> {
    let mut message = sample_json("loriot.json");
    message["seqno"] = number.into();
    message["fcnt"] = number.into();
    message["ts"] = at_ms.into();
    message["data"] = payload.into();
    message.to_string().into_bytes()
}

async fn a_copy_of_a_frame_is_no_uplink(database: Database) {
    let hub = Hub::start(database).await;
    let connection = connect(&hub, "loriot").await;
    hub.device("one", &connection, "1000000000000001", json!({}))
        .await;
    let first = ingest(&hub, &connection, "", sample("loriot.json"))
        .await
        .ok();
    assert_eq!(first["status"], "recorded");
    // The same frame with its gateways, and a repetition.
    for message in ["loriot_gw.json", "loriot.json"] {
        let copy = ingest(&hub, &connection, "", sample(message)).await.ok();
        assert_eq!(copy["status"], "duplicate", "{message}");
        assert_eq!(copy["uplink_id"], first["uplink_id"]);
        assert_eq!(copy["device_id"], "one");
    }
    let next = ingest(&hub, &connection, "", frame(3041, 1_684_478_801_936, "00")).await;
    assert_eq!(next.ok()["status"], "recorded");
    assert_eq!(hub.list("devices/one/uplinks").await.len(), 2);
    let path = format!("network-connections/{}", connection.id);
    let health = hub.get(&path).await.ok()["health"].clone();
    assert_eq!(
        (&health["uplinks"], &health["duplicates"]),
        (&json!(2), &json!(2))
    );
}

async fn copies_at_once_are_one_uplink(database: Database) {
    let hub = Hub::start(database).await;
    let connection = connect(&hub, "loriot").await;
    hub.device("one", &connection, "1000000000000001", json!({}))
        .await;
    let copies = (0..20).map(|_| ingest(&hub, &connection, "", sample("loriot.json")));
    let receipts = futures_util::future::join_all(copies).await;
    let receipts: Vec<Value> = receipts.into_iter().map(Answer::ok).collect();
    let recorded = receipts
        .iter()
        .filter(|receipt| receipt["status"] == "recorded");
    assert_eq!(recorded.count(), 1, "{receipts:?}");
    let first = &receipts[0]["uplink_id"];
    assert!(
        receipts
            .iter()
            .all(|receipt| receipt["uplink_id"] == *first)
    );
    assert_eq!(hub.list("devices/one/uplinks").await.len(), 1);
}

async fn a_late_frame_changes_nothing_newer(database: Database) {
    let hub = Hub::start(database).await;
    let connection = connect(&hub, "loriot").await;
    let script = "function decode(payload) { return payload.length > 1 ? \
        {level: payload[0], extra: payload[1]} : {level: payload[0]}; }";
    hub.push("acme/level", "1", script).await;
    let more = json!({"driver": "acme/level:1"});
    hub.device("one", &connection, "1000000000000001", more)
        .await;
    let at = |minute: u64| 1_684_478_800_000 + minute * 60_000;
    ingest(&hub, &connection, "", frame(2, at(2), "02"))
        .await
        .ok();
    let late = ingest(&hub, &connection, "", frame(1, at(1), "0107"))
        .await
        .ok();
    assert_eq!(late["status"], "recorded");
    let device = hub.get("devices/one").await.ok();
    assert_eq!(device["state"]["reported"], json!({"level": 2, "extra": 7}));
    assert_eq!(device["last_data_received"]["raw"], "02");
    let uplinks = hub.list("devices/one/uplinks").await;
    assert_eq!(uplinks.len(), 2);
    ingest(&hub, &connection, "", frame(3, at(3), "03"))
        .await
        .ok();
    let device = hub.get("devices/one").await.ok();
    assert_eq!(device["state"]["reported"]["level"], 3);
    assert_eq!(device["last_data_received"]["raw"], "03");
}

async fn thingpark_must_sign_where_the_key_is_known(database: Database) {
    let hub = Hub::start(database).await;
    // Public test data of KPN.
    let key = "c6f5e3b263092120b8766b9aed9c41b4";
    let query = "LrnDevEui=0059AC0000000001&LrnFPort=1&LrnInfos=TWA_100000001.999.AS-1-12345678\
        &AS_ID=TWA_100000001.999&Time=2018-01-12T10:00:00.000%2B01:00&Token=";
    let token = "5b7ec8b0b2c250fc792c76348de3b16ff04e27050baf8a37c891dcc85e88b0d4";
    let message = json!({"DevEUI_uplink": {"DevEUI": "0059AC0000000001", "FPort": "1",
        "FCntUp": "1", "payload_hex": "000102030405", "CustomerID": "100000001"}});
    let message = || message.to_string().into_bytes();

    let body = json!({"name": "tp", "settings": {"type": "actility", "as_key": key}});
    let connection = hub.connect_as(&body).await;
    hub.device("one", &connection, "0059AC0000000001", json!({}))
        .await;
    let path = format!("network-connections/{}", connection.id);
    let shown = hub.get(&path).await.ok();
    assert_eq!(shown["secrets"], json!(["as_key"]));
    assert!(!shown.to_string().contains(key), "{shown}");

    let forged = format!("{query}{}", "0".repeat(64));
    let error = ingest(&hub, &connection, &forged, message())
        .await
        .refused(400);
    assert!(
        error.starts_with("query parameter \"Token\": must be the signature"),
        "{error}"
    );
    let error = ingest(&hub, &connection, "", message()).await.refused(400);
    assert!(
        error.starts_with("query parameter \"Token\": is required"),
        "{error}"
    );
    // The key stays when it is left out of a change, and goes with the type.
    let body = json!({"name": "tp2", "settings": {"type": "actility"}});
    assert_eq!(
        hub.put(&path, &body).await.ok()["secrets"],
        json!(["as_key"])
    );
    let signed = format!("{query}{token}");
    let receipt = ingest(&hub, &connection, &signed, message()).await.ok();
    assert_eq!(receipt["status"], "recorded");
    let body = json!({"name": "tp2", "settings": {"type": "loriot"}});
    assert_eq!(hub.put(&path, &body).await.ok()["secrets"], json!([]));
    let body = json!({"name": "x", "settings": {"type": "actility", "as_key": "short"}});
    let error = hub.post("network-connections", &body).await.refused(400);
    assert!(
        error.starts_with("settings.as_key: must have 32 to 36"),
        "{error}"
    );
}
