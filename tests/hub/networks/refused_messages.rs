//! Messages of a network server that is set up wrongly are visible at the connection.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    sample,
    support::{
        database::{Database, on_both_databases},
        rows::{count, fill, time},
        server::{Connection, Hub, things_stack},
    },
};

on_both_databases!(
    what_is_refused_is_counted,
    a_wrong_ingest_key_leaves_a_trace,
    a_network_server_may_name_its_own_kind_of_json,
    the_unknown_senders_of_late_are_kept,
);

const EUI: &str = "AA00000000000001";

/// One message: its query, its content type, and its body.
async fn post(
    hub: &Hub,
    connection: &Connection,
    key: &str,
    (query, kind, body): (&str, &str, Vec<u8>),
) -> crate::support::server::Answer {
    let path = format!("network-connections/{}/uplinks{query}", connection.id);
    let request = hub
        .request(Method::POST, &path)
        .bearer_auth(key)
        .header("Content-Type", kind)
        .body(body);
    hub.answer(request).await
}

async fn what_is_refused_is_counted(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let good = || things_stack(EUI).into_bytes();
    let path = format!("network-connections/{}", connection.id);
    let table = [
        (
            "",
            "application/xml",
            good(),
            "header Content-Type: must be",
        ),
        (
            "",
            "application/xml+json",
            b"{".to_vec(),
            "body: is not valid JSON",
        ),
        (
            "?colour=red",
            "application/json",
            good(),
            "query parameter \"colour\": is unknown",
        ),
        (
            "",
            "application/json",
            b"{".to_vec(),
            "body: is not valid JSON",
        ),
        (
            "",
            "application/json",
            b"[null, null]".to_vec(),
            "body: must be a JSON object",
        ),
        (
            "",
            "application/json",
            vec![b' '; 8 << 20],
            "body: must have at most",
        ),
    ];
    for (count, (query, kind, body, expected)) in (1..).zip(table) {
        // A sender without a key moves nothing.
        let message = (query, kind, body.clone());
        post(&hub, &connection, "wrong", message).await.refused(401);
        let message = (query, kind, body);
        let error = post(&hub, &connection, &connection.key, message)
            .await
            .refused(400);
        assert!(error.starts_with(expected), "{error}");
        let health = hub.get(&path).await.ok()["health"].clone();
        assert_eq!(health["malformed"], count, "{health}");
        assert_eq!(health["last_error"], error, "{health}");
        assert!(health["last_error_at"].is_string(), "{health}");
        assert_eq!(health["last_message_at"], Value::Null, "{health}");
        assert_eq!(health["state"], "failing", "{health}");
        assert_eq!(health["error_rate"], 1.0, "{health}");
    }
    hub.uplink(&connection, EUI).await;
    assert_eq!(hub.get(&path).await.ok()["health"]["state"], "ok");
}

async fn a_wrong_ingest_key_leaves_a_trace(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let path = format!("network-connections/{}", connection.id);
    let unknown = Connection {
        id: connection.id + 1000,
        key: connection.key.clone(),
    };
    let message = || ("", "application/json", things_stack(EUI).into_bytes());
    let secret = "wrong-key-that-no-log-may-show";
    let mut texts = Vec::new();
    for _ in 0..20 {
        texts.push(
            post(&hub, &connection, secret, message())
                .await
                .refused(401),
        );
        texts.push(
            post(&hub, &unknown, &connection.key, message())
                .await
                .refused(401),
        );
    }
    let without = hub
        .request(Method::POST, &format!("{path}/uplinks"))
        .header("Content-Type", "application/json")
        .body("{}");
    texts.push(hub.answer(without).await.refused(401));
    assert!(texts[0].contains("ingest key"), "{texts:?}");
    texts.dedup();
    assert_eq!(texts.len(), 1, "nobody learns what there is: {texts:?}");

    let health = crate::eventually("the requests are counted", async || {
        let health = hub.get(&path).await.ok()["health"].clone();
        (health["unauthorized"] == 20).then_some(health)
    })
    .await;
    assert!(health["last_unauthorized_at"].is_string(), "{health}");
    assert_eq!(
        (&health["malformed"], &health["state"]),
        (&json!(0), &json!("never_seen"))
    );
    let log = hub.log();
    let told = log.lines().filter(|line| line.contains("wrong ingest key"));
    let told: Vec<&str> = told.collect();
    assert_eq!(told.len(), 2, "one line for each of the ids: {told:?}");
    assert!(told[0].contains("127.0.0.1"), "{told:?}");
    assert!(!log.contains(secret) && !log.contains(&connection.key));
}

async fn a_network_server_may_name_its_own_kind_of_json(database: Database) {
    let hub = Hub::start(database).await;
    let body = json!({"name": "kerlink", "settings": {"type": "kerlink"}});
    let connection = hub.connect_as(&body).await;
    for kind in [
        "application/vnd.kerlink.iot-v1+json",
        "Application/Vnd.Kerlink.IoT-v1+JSON; charset=utf-8",
    ] {
        let message = ("", kind, sample("kerlink_wanesy.json"));
        let receipt = post(&hub, &connection, &connection.key, message).await.ok();
        assert_eq!(receipt["status"], "unknown_device", "{kind}");
    }
    // Other operations take `application/json` alone.
    let token = hub.log_in("admin", crate::support::server::PASSWORD).await;
    let request = hub.request(Method::POST, "devices").bearer_auth(token);
    let request = request
        .header("Content-Type", "application/device+json")
        .body("{}");
    let error = hub.answer(request).await.refused(400);
    assert_eq!(error, "header Content-Type: must be application/json");
}

async fn the_unknown_senders_of_late_are_kept(database: Database) {
    const KEPT: u32 = 1000;
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let other = hub.connect("other").await;
    let columns =
        "tenant_id, connection_id, network_device_id, first_seen_at, last_seen_at, messages";
    for connection in [&connection, &other] {
        let (id, day) = (connection.id, time(1));
        let values = format!("1, {id}, 'X' || n.i, {day}, {day}, 1");
        fill(&hub, KEPT, "unknown_devices", columns, &values).await;
    }
    // The first one sends again, which makes it one of late.
    hub.sql("UPDATE unknown_devices SET network_device_id = 'AA00000000000001' WHERE network_device_id = 'X1'")
        .await;
    for eui in ["AA00000000000001", "AA00000000000002", "AA00000000000003"] {
        let receipt = hub.ingest(&connection, things_stack(eui)).await.ok();
        assert_eq!(receipt["status"], "unknown_device");
    }
    let is_kept = async |id: &str| {
        let (connection, id) = (connection.id, id);
        let found = format!(
            "unknown_devices WHERE connection_id = {connection} AND network_device_id = '{id}'"
        );
        count(&hub, &found).await == 1
    };
    for (id, kept) in [
        ("AA00000000000001", true),
        ("AA00000000000002", true),
        ("AA00000000000003", true),
        ("X2", false),
        ("X3", false),
        ("X4", true),
        ("X1000", true),
    ] {
        assert_eq!(is_kept(id).await, kept, "{id}");
    }
    for connection in [&connection, &other] {
        let path = format!(
            "network-connections/{}/unknown-devices?limit=1000",
            connection.id
        );
        assert_eq!(hub.list(&path).await.len(), KEPT as usize);
    }
}
