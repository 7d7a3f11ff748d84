//! Clocks that are wrong, and clocks that are set: hubs whose wall clock is libfaketime's.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    integrations::rules::integration,
    networks::mqtt,
    process::retention::has_looked,
    support::{
        broker::{Broker, Door},
        clock::{Clock, HOUR},
        database::{Database, on_both_databases, on_postgres, query_text},
        network_server::NetworkServer,
        server::{Hub, things_stack},
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    what_waits_is_not_late_when_the_clock_is_set_back,
    what_waits_is_not_late_when_the_clock_was_set_back_meanwhile,
    a_subscription_goes_on_after_a_kill_while_the_clock_was_ahead,
    what_became_due_while_the_clock_was_ahead_is_not_late,
    a_copy_is_known_whatever_the_clock_was_set_to,
    a_copy_is_known_after_a_kill_whatever_the_clock_was_set_to,
    what_is_recorded_keeps_its_order_when_the_clock_is_set_back,
);

const EUI: &str = "AA00000000000001";

/// The time in a hub's answers.
async fn told_time(hub: &Hub) -> i64 {
    let device = hub.device_without_address("time").await;
    hub.delete("devices/time").await.ok();
    let told: chrono::DateTime<chrono::Utc> =
        device["created_at"].as_str().unwrap().parse().unwrap();
    told.timestamp()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tests_clocks_can_be_set() {
    let clock = Clock::ahead(HOUR);
    let hub = clock.hub(Database::Sqlite, &[]).await;
    let before = told_time(&hub).await;
    clock.set(-HOUR);
    eventually("the hub goes by the clock", async || {
        let after = told_time(&hub).await;
        ((before - after - 2 * HOUR).abs() < 60).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_ahead_takes_no_lease_of_another() {
    on_postgres(async |database: Database| {
        let flags = ["--outgoing-allow", "127.0.0.0/8"];
        let one = Hub::start_with(database.clone(), &flags).await;
        let connection = one.connect("tts").await;
        one.device("d", &connection, EUI, json!({})).await;
        let sink = Sink::start(&[Cue::Wait], Cue::Status(200)).await;
        one.integration("i", "", &sink.url).await;
        one.uplink(&connection, EUI).await;
        sink.gets(1).await;
        let clock = Clock::ahead(HOUR);
        let two = clock.hub(database, &flags).await;
        two.uplink(&connection, EUI).await;
        // By the time the holder of the lease has renewed it twice, the other hub has looked for work.
        let url = one.database_url();
        let held_until = async || {
            let query = "SELECT held_until::text FROM integration_health";
            query_text(&url, query).await
        };
        for _ in 0..2 {
            let before = held_until().await;
            eventually("the lease is renewed", async || {
                (held_until().await != before).then_some(())
            })
            .await;
        }
        let received = sink.received();
        let mut ids: Vec<&str> = received
            .iter()
            .map(|one| one.header("webhook-id"))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), received.len(), "none is sent twice");
        sink.go_on();
    })
    .await;
}

/// A hub must not generate ids by its own clock: after a restart it would continue from them, ahead of the
/// others.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_hub_that_is_ahead_records_keeps_its_place() {
    on_postgres(async |database: Database| {
        let flags = ["--outgoing-allow", "127.0.0.0/8"];
        let one = Hub::start_with(database.clone(), &flags).await;
        let connection = one.connect("tts").await;
        one.push("a/b", "1", "function decode(m) { return {data: {n: 1}} }")
            .await;
        one.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
            .await;
        let table = json!({"name": "t", "selector": ""});
        one.post("data-tables", &table).await.created();
        one.uplink(&connection, EUI).await;
        let sink = Sink::willing().await;

        let clock = Clock::ahead(HOUR);
        let mut two = clock.hub(database, &flags).await;
        // The hub records in every possible way: by people, by jobs, and by devices.
        let id = two.integration("i", "", &sink.url).await;
        let replay = format!("integrations/{id}/replay");
        let span = json!({"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"});
        two.post(&replay, &span).await.created();
        sink.gets(1).await;
        two.post("devices/d/redecode?dry_run=false", &json!({})).await.ok();
        two.uplink(&connection, EUI).await;
        let ahead = "SELECT coalesce(string_agg(what, ' '), '') FROM (
            SELECT 'a delivery' AS what, id FROM deliveries UNION ALL SELECT 'an event', id FROM events
            UNION ALL SELECT 'an uplink', id FROM uplinks UNION ALL SELECT 'a row', id FROM data_table_rows
            UNION ALL SELECT 'an audit entry', id FROM audit_log) AS recorded
            WHERE ('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint
                > extract(epoch FROM clock_timestamp()) * 1000 + 60000";
        assert_eq!(query_text(&one.database_url(), ahead).await, "");

        // An id that a former release has made this way causes no error.
        one.sql(&format!(
            "UPDATE events SET id = '{}' WHERE id = (SELECT max(id::text)::uuid FROM events)",
            first_uuid_in(HOUR)
        ))
        .await;
        two.end(Signal::SIGTERM).await;
        two.start_again().await;
        let mut ids = Vec::new();
        for hub in [&two, &one, &two, &one] {
            ids.push(hub.uplink(&connection, EUI).await);
        }
        assert!(ids.is_sorted(), "{ids:?}");
    })
    .await;
}

/// An id of so many seconds from now.
fn first_uuid_in(seconds: i64) -> uuid::Uuid {
    let now = thingshub::clock::now().timestamp();
    let at = u64::try_from(now + seconds).unwrap();
    uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, at, 0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_ahead_leaves_the_leases_of_others() {
    on_postgres(async |database: Database| {
        let clock = Clock::ahead(2 * HOUR);
        let hub = clock.hub(database, &[]).await;
        hub.sql(
            "INSERT INTO leases (tenant_id, name, holder, expires_at) \
             VALUES (1, 'other/1', gen_random_uuid(), now() + interval '30 seconds')",
        )
        .await;
        let url = hub.database_url();
        // The leases of a job that is done are given back, and old ones after them.
        for _ in 0..2 {
            let request = hub
                .request(reqwest::Method::POST, "devices/import?format=ndjson")
                .bearer_auth(&hub.token)
                .header("Content-Type", "application/octet-stream")
                .body("{\"name\": \"\"}\n");
            let begun = hub.answer(request).await.created();
            let job = format!("devices/import/{}", begun["id"]);
            eventually("the import is done and left", async || {
                let is_done = hub.get(&job).await.ok()["state"] == "done";
                let query = "SELECT count(*)::text FROM leases WHERE name LIKE 'import/%'";
                (is_done && query_text(&url, query).await == "0").then_some(())
            })
            .await;
        }
        let query = "SELECT count(*)::text FROM leases WHERE name = 'other/1'";
        assert_eq!(query_text(&url, query).await, "1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_ahead_sends_no_downlink_of_another() {
    on_postgres(async |database: Database| {
        let flags = [
            "--outgoing-allow",
            "127.0.0.0/8",
            "--downlink-timeout-s",
            "60",
        ];
        let one = Hub::start_with(database.clone(), &flags).await;
        let connection = one.connect("tts").await;
        for (id, eui) in [("d", EUI), ("other", "AA00000000000002")] {
            one.device(id, &connection, eui, json!({})).await;
        }
        let server = NetworkServer::start(vec![(None, Value::Null)]).await;
        let settings = json!({"type": "http", "method": "POST", "url": server.url,
            "body": r#"{"id": "{{downlink_id}}"}"#});
        one.sends_downlinks(&connection, &settings).await;
        let body = json!({"payload_hex": "01"});
        let under_way = one.post("devices/d/downlinks", &body).await.created();
        server.is_asked(1).await;
        let clock = Clock::ahead(HOUR);
        let two = clock.hub(database, &flags).await;
        for number in 0..5 {
            two.post("devices/other/downlinks", &body).await.created();
            server.is_asked(2 + number).await;
        }
        let asked = server.asked();
        let again = asked
            .iter()
            .filter(|asked| asked.json()["id"] == under_way["id"]);
        assert_eq!(again.count(), 1, "it is sent once");
    })
    .await;
}

/// A hub whose first delivery has just failed, and is tried again in some seconds.
async fn failed_once(clock: &Clock, database: Database) -> (Hub, Sink) {
    let flags = [
        "--outgoing-allow",
        "127.0.0.0/8",
        "--delivery-schedule-s",
        "8",
    ];
    let hub = clock.hub(database, &flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let sink = Sink::start(&[Cue::Status(503)], Cue::Status(200)).await;
    let ordered = json!({"delivery": {"ordered_by_device": true}});
    let path = integration(&hub, &sink.url, ordered).await;
    for _ in 0..2 {
        hub.uplink(&connection, EUI).await;
    }
    eventually("the first one has failed", async || {
        let waiting = hub
            .list(&format!("{path}/deliveries?sort=created_at"))
            .await;
        (waiting[0]["attempt"] == 1).then_some(())
    })
    .await;
    (hub, sink)
}

/// The first one comes again, and then the one behind it.
async fn both_come(sink: &Sink) {
    let received = sink.gets(3).await;
    let ids: Vec<&str> = received
        .iter()
        .map(|one| one.header("webhook-id"))
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

async fn what_waits_is_not_late_when_the_clock_is_set_back(database: Database) {
    let clock = Clock::ahead(0);
    let (_hub, sink) = failed_once(&clock, database).await;
    clock.set(-HOUR);
    both_come(&sink).await;
}

async fn what_waits_is_not_late_when_the_clock_was_set_back_meanwhile(database: Database) {
    let clock = Clock::ahead(0);
    let (mut hub, sink) = failed_once(&clock, database).await;
    hub.end(Signal::SIGTERM).await;
    clock.set(-HOUR);
    hub.start_again().await;
    both_come(&sink).await;
}

async fn what_became_due_while_the_clock_was_ahead_is_not_late(database: Database) {
    let clock = Clock::ahead(0);
    let is_the_hubs = matches!(database, Database::Sqlite);
    let flags = ["--outgoing-allow", "127.0.0.0/8"];
    let hub = clock.hub(database, &flags).await;
    let set = async |steps: usize, seconds: i64| {
        clock.set(seconds);
        if is_the_hubs {
            is_noticed(&hub, steps).await;
        }
    };
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let sink = Sink::start(&[Cue::Wait], Cue::Status(200)).await;
    let ordered = json!({"delivery": {"ordered_by_device": true}});
    let path = integration(&hub, &sink.url, ordered).await;
    for _ in 0..3 {
        hub.uplink(&connection, EUI).await;
    }
    sink.gets(1).await;
    eventually("the others are parked", async || {
        let waiting = hub.list(&format!("{path}/deliveries?state=pending")).await;
        let parked = waiting
            .iter()
            .filter(|one| one["next_attempt_at"].is_null());
        (parked.count() == 2).then_some(())
    })
    .await;
    set(1, HOUR).await;
    // The second one becomes due, and is not sent before the clock is right again.
    hub.post(&format!("{path}/pause"), &json!({})).await.ok();
    sink.go_on();
    eventually("the first one is delivered", async || {
        let delivered = hub
            .list(&format!("{path}/deliveries?state=delivered"))
            .await;
        (delivered.len() == 1).then_some(())
    })
    .await;
    set(2, 0).await;
    hub.post(&format!("{path}/resume"), &json!({})).await.ok();
    sink.gets(3).await;
}

/// Waits until the hub has noticed so many steps of its clock.
async fn is_noticed(hub: &Hub, steps: usize) {
    eventually("the step is noticed", async || {
        let noticed = hub.log().matches("the clock was set").count();
        (noticed == steps).then_some(())
    })
    .await;
}

async fn a_subscription_goes_on_after_a_kill_while_the_clock_was_ahead(database: Database) {
    let broker = Broker::start(Door::Open).await;
    let clock = Clock::ahead(HOUR);
    let flags = ["--outgoing-allow", "127.0.0.0/8,::1/128"];
    let mut hub = clock.hub(database, &flags).await;
    mqtt::subscribe(&hub, &broker, &["up"]).await;
    hub.end(Signal::SIGKILL).await;
    broker.publish("up", &mqtt::message(1)).await;
    clock.set(0);
    hub.start_again().await;
    mqtt::recorded(&hub, [1]).await;
}

async fn a_copy_is_known_whatever_the_clock_was_set_to(database: Database) {
    let clock = Clock::ahead(0);
    let is_the_hubs = matches!(database, Database::Sqlite);
    let hub = clock.hub(database, &[]).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let message = things_stack(EUI);
    let send = async || hub.ingest(&connection, message.clone()).await.ok();
    let first = send().await;
    for (steps, seconds) in (1..).zip([HOUR, -HOUR, 0]) {
        clock.set(seconds);
        if is_the_hubs {
            is_noticed(&hub, steps).await;
        }
        let copy = send().await;
        assert_eq!(copy["status"], "duplicate", "{seconds}");
        assert_eq!(copy["uplink_id"], first["uplink_id"]);
    }
}

async fn a_copy_is_known_after_a_kill_whatever_the_clock_was_set_to(database: Database) {
    let clock = Clock::ahead(0);
    let mut hub = clock.hub(database, &[]).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let message = things_stack(EUI);
    let first = hub.ingest(&connection, message.clone()).await.ok();
    for seconds in [HOUR, -HOUR, 0] {
        hub.end(Signal::SIGKILL).await;
        clock.set(seconds);
        hub.start_again().await;
        let copy = hub.ingest(&connection, message.clone()).await.ok();
        assert_eq!(copy["status"], "duplicate", "{seconds}");
        assert_eq!(copy["uplink_id"], first["uplink_id"]);
    }
}

async fn what_is_recorded_keeps_its_order_when_the_clock_is_set_back(database: Database) {
    let clock = Clock::ahead(HOUR);
    let mut hub = clock.hub(database, &[]).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let mut sent = vec![hub.uplink(&connection, EUI).await];
    clock.set(0);
    sent.push(hub.uplink(&connection, EUI).await);
    for seconds in [-HOUR, 0] {
        hub.end(Signal::SIGKILL).await;
        clock.set(seconds);
        hub.start_again().await;
        sent.push(hub.uplink(&connection, EUI).await);
    }
    let told: Vec<Value> = hub.list("devices/d/uplinks").await;
    let told: Vec<&str> = told
        .iter()
        .rev()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(told, sent);
}

/// The clock may be wrong for a while, for example until it is set over the network.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead_by_mistake_costs_no_data() {
    let clock = Clock::ahead(0);
    let mut hub = clock.hub(Database::Sqlite, &[]).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    hub.uplink(&connection, EUI).await;
    let told = |hub: &Hub| hub.log().matches("rows count as old by the time").count();
    has_looked(&hub).await;
    assert_eq!(told(&hub), 0);
    hub.end(Signal::SIGTERM).await;
    clock.set(200 * 24 * HOUR);
    hub.start_again().await;
    has_looked(&hub).await;
    // Once, although each kind of rows asks for the time.
    assert_eq!(told(&hub), 1);
    let uplinks = "SELECT CAST(count(*) AS TEXT) FROM uplinks";
    assert_eq!(query_text(&hub.database_url(), uplinks).await, "1");
}
