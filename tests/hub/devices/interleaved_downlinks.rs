//! Downlinks that several change at once, in the order that does harm: what each of them has read is
//! another by the time it writes.

use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        clock::{Clock, HOUR},
        database::{
            Database, Held, on_both_databases, on_postgres, query_text, until_waiting,
            waiting_for_locks,
        },
        network_server::NetworkServer,
        server::{Connection, Hub},
    },
};

on_both_databases!(what_was_under_way_waits_to_be_asked_by_new_settings,);

const EUI: &str = "AA00000000000001";
const SIGFOX: &str = "1A2345";
const FLAGS: [&str; 6] = [
    "--outgoing-allow",
    "127.0.0.0/8",
    "--downlink-schedule-s",
    "0,0,0",
    "--downlink-timeout-s",
    "1",
];

async fn queue(hub: &Hub, more: Value) -> Value {
    let mut body = json!({"payload_hex": "0102030405060708"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    hub.post("devices/d/downlinks", &body).await.created()
}

fn http(server: &NetworkServer) -> Value {
    json!({"type": "http", "method": "POST", "url": format!("{}/down", server.url),
        "body": r#"{"id": "{{downlink_id}}"}"#})
}

/// A message of The Things Stack about a downlink.
fn news(kind: &str, downlink: &Value) -> String {
    let id = downlink["id"].as_str().unwrap();
    let message = json!({"f_cnt": 7, "correlation_ids": [format!("thingshub:downlink:{id}")]});
    json!({"end_device_ids": {"device_id": "dev1", "dev_eui": EUI,
        "application_ids": {"application_id": "app1"}}, kind: message})
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_stays_so() {
    on_postgres(async |database: Database| {
        let one = Hub::start_with(database.clone(), &FLAGS).await;
        let two = Hub::start_with(database, &FLAGS).await;
        let connection = one.connect("tts").await;
        one.device("d", &connection, EUI, json!({})).await;
        let server = NetworkServer::start(vec![]).await;
        one.sends_downlinks(&connection, &http(&server)).await;
        let sent = queue(&one, json!({"confirmed": true})).await;
        one.downlink_gets(&sent, "sent").await;

        let url = one.database_url();
        let held = Held::start(&url, "BEGIN; SELECT id FROM downlinks FOR UPDATE").await;
        let acknowledged = one.ingest(&connection, news("downlink_ack", &sent));
        let transmitted = async {
            until_waiting(&url, 1).await;
            two.ingest(&connection, news("downlink_sent", &sent)).await
        };
        let release = async {
            until_waiting(&url, 2).await;
            held.end().await;
        };
        let (acknowledged, transmitted, ()) = tokio::join!(acknowledged, transmitted, release);
        for receipt in [acknowledged, transmitted] {
            assert_eq!(receipt.ok()["status"], "other");
        }
        let path = format!("devices/d/downlinks/{}", sent["id"].as_str().unwrap());
        assert_eq!(one.get(&path).await.ok()["state"], "acknowledged");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_do_not_send_to_one_device_at_once() {
    on_postgres(async |database: Database| {
        let one = Hub::start_with(database.clone(), &FLAGS).await;
        let two = Hub::start_with(database, &FLAGS).await;
        let connection = one.connect("tts").await;
        one.device("d", &connection, EUI, json!({})).await;
        let server = NetworkServer::start(vec![]).await;
        one.sends_downlinks(&connection, &http(&server)).await;

        // The lane that takes the first one is still at it while the second one is queued.
        let url = one.database_url();
        one.sql(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$; \
             CREATE TRIGGER wait BEFORE UPDATE ON downlinks FOR EACH ROW \
             WHEN (NEW.is_sending AND NOT OLD.is_sending AND NEW.priority = 1) \
             EXECUTE FUNCTION wait()",
        )
        .await;
        let held = Held::start(&url, "BEGIN; SELECT pg_advisory_xact_lock(42)").await;
        let first = queue(&one, json!({})).await;
        until_waiting(&url, 1).await;
        let urgent = queue(&two, json!({"priority": "high"}));
        let release = async {
            eventually("the urgent one waits, or is sent", async || {
                let is_decided = !server.asked().is_empty() || waiting_for_locks(&url).await > 1;
                is_decided.then_some(())
            })
            .await;
            assert_eq!(server.asked().len(), 0, "the first one is being sent");
            held.end().await;
        };
        let (urgent, ()) = tokio::join!(urgent, release);
        for sent in [&first, &urgent] {
            one.downlink_gets(sent, "sent").await;
        }
        let asked = server.asked();
        let ids: Vec<Value> = asked
            .iter()
            .map(|asked| asked.json()["id"].clone())
            .collect();
        assert_eq!(ids, [first["id"].clone(), urgent["id"].clone()]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downlink_goes_by_settings_that_come_while_it_is_queued() {
    on_postgres(async |database: Database| {
        let hub = Hub::start_with(database, &FLAGS).await;
        let connection = hub.connect("tts").await;
        hub.device("d", &connection, EUI, json!({})).await;
        hub.sends_downlinks(&connection, &json!({"type": "sigfox"}))
            .await;
        let server = NetworkServer::start(vec![]).await;
        let url = hub.database_url();
        let held = Held::start(&url, "BEGIN; SELECT id FROM devices FOR UPDATE").await;
        let queued = queue(&hub, json!({}));
        let change = async {
            until_waiting(&url, 1).await;
            hub.sends_downlinks(&connection, &http(&server)).await;
            held.end().await;
        };
        let (queued, ()) = tokio::join!(queued, change);
        hub.downlink_gets(&queued, "sent").await;
        // Later downlinks are not blocked either.
        let next = queue(&hub, json!({})).await;
        hub.downlink_gets(&next, "sent").await;
    })
    .await;
}

/// The answer to a device that asks for a downlink.
async fn ask(hub: &Hub, connection: &Connection, number: u32) -> Value {
    let body = json!({"device": SIGFOX, "data": "01", "time": 1_512_814_827, "ack": true,
        "seqNumber": number});
    hub.ingest(connection, body.to_string()).await.ok()[SIGFOX].clone()
}

async fn what_was_under_way_waits_to_be_asked_by_new_settings(database: Database) {
    let hub = Hub::start_with(database, &FLAGS).await;
    let body = json!({"name": "sigfox", "settings": {"type": "sigfox"}});
    let connection = hub.connect_as(&body).await;
    hub.device("d", &connection, SIGFOX, json!({})).await;
    let server = NetworkServer::start(vec![(None, Value::Null)]).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    let queued = queue(&hub, json!({})).await;
    // The settings change in the middle of an attempt, which fails after it.
    server.is_asked(1).await;
    hub.sends_downlinks(&connection, &json!({"type": "sigfox"}))
        .await;
    let mut number = 0;
    let answer = eventually("the device gets it in an answer", async || {
        number += 1;
        let answer = ask(&hub, &connection, number).await;
        (answer["noData"] != true).then_some(answer)
    })
    .await;
    assert_eq!(answer, json!({"downlinkData": "0102030405060708"}));
    hub.downlink_gets(&queued, "sent").await;
    assert_eq!(server.asked().len(), 1);
}

/// By the new time the claim of the attempt is over, but the hub knows that it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_sent_is_not_sent_again_when_the_clock_is_set_ahead() {
    let clock = Clock::ahead(0);
    let flags = [&FLAGS[..4], &["--downlink-timeout-s", "60"]].concat();
    let hub = clock.hub(Database::Sqlite, &flags).await;
    let connection = hub.connect("tts").await;
    for (name, eui) in [("d", EUI), ("other", "AA00000000000002")] {
        hub.device(name, &connection, eui, json!({})).await;
    }
    let server = NetworkServer::start(vec![(None, json!({}))]).await;
    hub.sends_downlinks(&connection, &http(&server)).await;
    let hangs = queue(&hub, json!({"f_port": 1})).await;
    server.is_asked(1).await;
    // The longest attempt, and the time to settle it.
    let claimed_until = query_text(&hub.database_url(), "SELECT due_at FROM downlinks").await;
    let claimed_until: chrono::DateTime<chrono::Utc> = claimed_until.parse().unwrap();
    let claim = (claimed_until - thingshub::clock::now()).num_seconds();
    assert!((60..=75).contains(&claim), "{claim}");
    clock.set(HOUR);
    eventually("the step is noticed", async || {
        hub.log().contains("the clock was set").then_some(())
    })
    .await;
    let body = json!({"payload_hex": "01", "f_port": 1});
    let other = hub.post("devices/other/downlinks", &body).await.created();
    let sent = server.is_asked(2).await;
    assert_eq!(sent[1].json()["id"], other["id"]);
    let path = format!("devices/other/downlinks/{}", other["id"].as_str().unwrap());
    eventually("the other is sent", async || {
        (hub.get(&path).await.ok()["state"] == "sent").then_some(())
    })
    .await;
    assert_eq!(server.asked().len(), 2);
    let path = format!("devices/d/downlinks/{}", hangs["id"].as_str().unwrap());
    assert_eq!(hub.get(&path).await.ok()["attempts"], 1);
}
