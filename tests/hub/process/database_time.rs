//! The time of hubs that share a database is the database's, whatever the clocks of their machines say.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    data::row_imports::import,
    eventually,
    networks::news_order::report,
    support::{
        clock::{Clock, HOUR},
        database::{Database, on_postgres},
        network_server::NetworkServer,
        server::{Hub, things_stack},
    },
};

const EUI: &str = "AA00000000000001";

/// Times of the hub are those of the database, which all hubs share.
#[tokio::test(flavor = "multi_thread")]
async fn times_of_resources_are_those_of_the_database() {
    on_postgres(async |database: Database| {
        let clock = Clock::ahead(HOUR);
        let hub = clock
            .hub(database, &["--outgoing-allow", "127.0.0.0/8"])
            .await;
        let now = thingshub::clock::now();
        let near = |time: &Value| {
            let time: chrono::DateTime<chrono::Utc> = time.as_str().unwrap().parse().unwrap();
            (time - now).num_seconds().abs() < HOUR / 2
        };
        // The hub's own clock says that this is over.
        let soon = (now + chrono::TimeDelta::minutes(30)).to_rfc3339();
        let connection = hub.connect("tts").await;
        hub.push("a/b", "1", "function decode() { return {t: 1} }")
            .await;
        hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
            .await;
        hub.uplink(&connection, EUI).await;
        hub.integration("i", "", "http://127.0.0.1:1/").await;
        let server = NetworkServer::start(vec![]).await;
        let settings = json!({"type": "http", "method": "POST", "url": server.url});
        hub.sends_downlinks(&connection, &settings).await;
        let body = json!({"payload_hex": "00", "f_port": 1, "expires_at": soon});
        let queued = hub.post("devices/d/downlinks", &body).await.created();
        let sent = hub.downlink_gets(&queued, "sent").await;
        report(&hub, &connection, "downlink_sent", 1, Some(&sent)).await;
        for (path, body) in [
            ("data-tables", json!({"name": "t", "selector": ""})),
            (
                "api-keys",
                json!({"name": "k", "scopes": ["read"], "expires_at": soon}),
            ),
            (
                "users",
                json!({"username": "user", "password": "a long password of u", "role": "viewer"}),
            ),
        ] {
            hub.post(path, &body).await.created();
        }
        hub.post("devices/d/labels", &json!({"labels": ["x"]}))
            .await
            .ok();
        for path in [
            "network-connections",
            "drivers",
            "devices",
            "integrations",
            "data-tables",
            "api-keys",
            "users",
            "devices/d/uplinks",
            "devices/d/downlinks",
            "audit-log",
        ] {
            let listed = hub.list(path).await;
            for found in listed.iter().filter(|found| found["built_in"] != true) {
                let times: &[&str] = match path {
                    "devices/d/uplinks" => &["received_at"],
                    "devices/d/downlinks" => {
                        &["created_at", "updated_at", "sent_at", "transmitted_at"]
                    }
                    _ => &["created_at", "updated_at", "at"],
                };
                let mut count = 0;
                for name in times.iter().filter(|name| found[**name].is_string()) {
                    assert!(near(&found[*name]), "{path} {name}: {found}");
                    count += 1;
                }
                assert!(count > 0, "{path}: {found}");
            }
        }
        let downlink = &hub.list("devices/d/downlinks").await[0];
        assert!(downlink["transmitted_at"].is_string(), "{downlink}");
        let expired = hub.list("api-keys?expired=true").await;
        assert!(expired.is_empty(), "{expired:?}");
    })
    .await;
}

/// `-30m` is half an hour before now also for a hub whose clock is an hour ahead, above all where rows are deleted.
#[tokio::test(flavor = "multi_thread")]
async fn times_before_now_are_those_of_the_database() {
    on_postgres(async |database: Database| {
        let clock = Clock::ahead(HOUR);
        let hub = clock.hub(database, &[]).await;
        let connection = hub.connect("tts").await;
        hub.push("a/b", "1", "function decode() { return {t: 1} }")
            .await;
        hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
            .await;
        let table =
            json!({"name": "t", "selector": "", "columns": [{"path": "t", "type": "number"}]});
        let table = hub.post("data-tables", &table).await.created();
        let rows = format!("data-tables/{}/rows", table["id"]);
        // The network server says no time, so that of the reception counts.
        let mut message: Value = serde_json::from_str(&things_stack(EUI)).unwrap();
        let uplink = message["uplink_message"].as_object_mut().unwrap();
        for member in ["received_at", "rx_metadata", "settings"] {
            uplink.remove(member);
        }
        message.as_object_mut().unwrap().remove("received_at");
        hub.ingest(&connection, message.to_string()).await.ok();
        for path in ["devices/d/uplinks", &rows, "audit-log"] {
            let within = |span: &str| format!("{path}?{span}");
            let recent = hub.list(&within("from=-30m")).await;
            assert!(!recent.is_empty(), "{path}");
            let old = hub.list(&within("to=-30m")).await;
            assert!(old.is_empty(), "{path}: {old:?}");
        }
        let deleted = hub.delete(&format!("{rows}?to=-30m")).await.ok();
        assert_eq!(deleted["deleted"], 0);
        assert_eq!(hub.list(&rows).await.len(), 1);
    })
    .await;
}

/// Rows of the future are refused by the database's clock.
#[tokio::test(flavor = "multi_thread")]
async fn imports_are_ahead_of_the_time_of_the_database() {
    on_postgres(async |database: Database| {
        let clock = Clock::ahead(HOUR);
        let hub = clock.hub(database, &[]).await;
        let table =
            json!({"name": "t", "selector": "", "columns": [{"path": "t", "type": "number"}]});
        let table = hub.post("data-tables", &table).await.created();
        hub.device_without_address("d").await;
        let at = |minutes| (thingshub::clock::now() + TimeDelta::minutes(minutes)).to_rfc3339();
        let (in_time, late) = (at(23 * 60 + 30), at(24 * 60 + 30));
        let file = format!("time,device_id,t\n{in_time},d,1\n{late},d,2\n");
        let table = table["id"].as_i64().unwrap();
        let (counts, _) = import(&hub, table, "", "text/csv", file).await;
        assert_eq!(counts, [1, 0, 1], "the second row is too far ahead");
    })
    .await;
}

/// The error rate of a connection is the same in the answers of two hubs, one of which is ahead.
#[tokio::test(flavor = "multi_thread")]
async fn the_error_rate_is_that_of_the_last_hour_of_the_database() {
    on_postgres(async |database: Database| {
        let one = Hub::start(database.clone()).await;
        let clock = Clock::ahead(3 * HOUR);
        let two = clock.hub(database, &[]).await;
        let connection = one.connect("tts").await;
        let path = format!("network-connections/{}", connection.id);
        for hub in [&one, &two] {
            hub.ingest(&connection, "[]").await.refused(400);
            let without = hub
                .request(reqwest::Method::POST, &format!("{path}/uplinks"))
                .bearer_auth("wrong")
                .body("{}");
            hub.answer(without).await.refused(401);
        }
        let health = eventually("all is counted", async || {
            let health = one.get(&path).await.ok()["health"].clone();
            (health["malformed"] == 2 && health["unauthorized"] == 2).then_some(health)
        })
        .await;
        assert_eq!(health["error_rate"], 1.0);
        let seen: DateTime<Utc> = health["last_unauthorized_at"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            (thingshub::clock::now() - seen).num_seconds().abs() < HOUR,
            "{health}"
        );
        one.ingest(&connection, things_stack(EUI)).await.ok();
        for hub in [&one, &two] {
            let rate = eventually("the message is counted", async || {
                let health = hub.get(&path).await.ok()["health"].clone();
                (health["unknown_devices"] == 1).then(|| health["error_rate"].as_f64().unwrap())
            })
            .await;
            assert!((0.6..0.7).contains(&rate), "{rate}: two of three messages");
        }
    })
    .await;
}
