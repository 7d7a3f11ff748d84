//! An error affects only the message that causes it: other messages in the same transaction are recorded.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::{
    eventually,
    networks::mqtt,
    support::{
        broker::{Broker, Door},
        database::{Database, Held, on_both_databases, on_postgres, query_text},
        server::{Answer, Connection, Hub, PASSWORD, things_stack},
    },
};

on_both_databases!(
    a_dangling_reference_is_looked_up_again_and_harms_nobody_else,
    a_message_that_cannot_be_written_fails_alone,
    a_message_that_dangles_for_good_stops_no_subscription,
);

const EUI: &str = "AA00000000000001";
const OTHER_EUI: &str = "AA00000000000002";

/// Keeps the hub from writing uplinks, so that messages gather for one batch.
async fn held(hub: &Hub) -> Held {
    let statement = match &hub.database {
        Database::Sqlite => "BEGIN IMMEDIATE",
        Database::Postgres(_) => "BEGIN; LOCK TABLE uplinks IN EXCLUSIVE MODE",
    };
    Held::start(&hub.database_url(), statement).await
}

/// Posts uplinks of these devices at once, while the hub is kept from writing.
async fn post_together(hub: &Hub, from: &[(&Connection, &str)]) -> Vec<Answer> {
    let held = held(hub).await;
    let posts = join_all(from.iter().map(|(connection, eui)| {
        let body = things_stack(eui);
        hub.ingest(connection, body)
    }));
    let release = async {
        // Gives the batch time to gather; the test does not depend on it.
        tokio::time::sleep(Duration::from_millis(500)).await;
        held.end().await;
    };
    tokio::join!(posts, release).0
}

async fn a_dangling_reference_is_looked_up_again_and_harms_nobody_else(database: Database) {
    let mut hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let integration = hub.integration("i", "", "https://nowhere.invalid/").await;
    hub.tenant("other").await;
    hub.token = hub.log_in("other", PASSWORD).await;
    let other = hub.connect("tts").await;
    hub.device("d", &other, OTHER_EUI, json!({})).await;
    // From here on the hub has the dependencies of each device's uplinks in its cache.
    hub.uplink(&connection, EUI).await;
    hub.uplink(&other, OTHER_EUI).await;

    // Behind the hub's back, for which nothing of what it keeps ready is out of date.
    let gone = format!("DELETE FROM integrations WHERE id = {integration}");
    hub.sql(&gone).await;
    let mut from = vec![(&connection, EUI)];
    from.extend([(&other, OTHER_EUI); 20]);
    from.push((&connection, EUI));
    for answer in post_together(&hub, &from).await {
        assert_eq!(answer.ok()["status"], "recorded");
    }
    assert_eq!(hub.list("devices/d/uplinks").await.len(), 21);
    let log = hub.log();
    assert!(log.contains("refers to what is not there"), "{log}");
}

async fn a_message_that_cannot_be_written_fails_alone(database: Database) {
    let mut hub = Hub::start(database).await;
    hub.may_complain = true;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let poison = 60_000;
    hub.refuse_uplink(poison).await;
    let held = held(&hub).await;
    let bodies = (0..40).map(|number| {
        let mut body: serde_json::Value = serde_json::from_str(&things_stack(EUI)).unwrap();
        if number == 17 {
            body["uplink_message"]["f_cnt"] = poison.into();
        }
        body.to_string()
    });
    let posts = join_all(bodies.map(|body| hub.ingest(&connection, body)));
    let release = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        held.end().await;
    };
    let (answers, ()) = tokio::join!(posts, release);
    for (number, answer) in answers.into_iter().enumerate() {
        let expected = if number == 17 { 500 } else { 200 };
        assert_eq!(answer.status, expected, "{number}: {}", answer.text);
    }
    assert_eq!(hub.list("devices/d/uplinks?limit=100").await.len(), 39);
}

/// Lets an uplink with this frame counter refer to what is not there, however often it is looked up.
async fn let_dangle(hub: &Hub, f_cnt: u32) {
    let row = "INSERT INTO device_labels (tenant_id, device_key, label) VALUES (1, 999999, 'x')";
    let statements = match &hub.database {
        Database::Sqlite => vec![format!(
            "CREATE TRIGGER dangling AFTER INSERT ON uplinks WHEN NEW.f_cnt = {f_cnt} \
             BEGIN {row}; END"
        )],
        Database::Postgres(_) => vec![
            format!(
                "CREATE FUNCTION dangle() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN {row}; RETURN NEW; END $$"
            ),
            format!(
                "CREATE TRIGGER dangling AFTER INSERT ON uplinks FOR EACH ROW \
                 WHEN (NEW.f_cnt = {f_cnt}) EXECUTE FUNCTION dangle()"
            ),
        ],
    };
    for statement in statements {
        hub.sql(&statement).await;
    }
}

async fn a_message_that_dangles_for_good_stops_no_subscription(database: Database) {
    let broker = Broker::start(Door::Open).await;
    let mut hub = mqtt::hub(database).await;
    hub.may_complain = true;
    let made = mqtt::subscribe(&hub, &broker, &["up"]).await;
    let_dangle(&hub, 0).await;
    // More than are worked on at a time, so that they need the first one to be acknowledged.
    for counter in 0..=70 {
        broker.publish("up", &mqtt::message(counter)).await;
    }
    mqtt::recorded(&hub, 1..=70).await;
    let path = format!("network-connections/{}", made.id);
    let health = eventually("it is counted, and nothing waits any more", async || {
        let health = hub.get(&path).await.ok()["health"].clone();
        let is_over = health["malformed"] == 1 && health["subscription"]["error"].is_null();
        is_over.then_some(health)
    })
    .await;
    let why = health["last_error"].as_str().unwrap();
    assert!(why.starts_with("given up after 10 faults"), "{why}");
    assert!(hub.log().contains("a message is given up"));
}

/// The database picks one of two transactions that wait for each other, and here that is the hub's.
#[tokio::test(flavor = "multi_thread")]
async fn the_victim_of_a_deadlock_is_repeated() {
    on_postgres(async |database: Database| {
        let hub = Hub::start(database).await;
        let connection = hub.connect("tts").await;
        hub.device("d", &connection, EUI, json!({})).await;
        hub.uplink(&connection, EUI).await;
        let url = hub.database_url();
        // The hub's transaction takes this lock last. The side that waits longer than its timeout looks for a circle.
        let other = Held::start(
            &url,
            "BEGIN; SET LOCAL deadlock_timeout = '60s'; UPDATE connection_health SET uplinks = uplinks",
        )
        .await;
        let close_the_circle = async {
            eventually("the hub waits", async || {
                let waiting = "SELECT count(*)::text FROM pg_stat_activity WHERE \
                               datname = current_database() AND wait_event_type = 'Lock'";
                (query_text(&url, waiting).await != "0").then_some(())
            })
            .await;
            // Answered when the hub's transaction is the victim.
            other.run("UPDATE device_states SET raw = raw").await;
            other.end().await;
        };
        let posts = join_all((0..20).map(|_| hub.ingest(&connection, things_stack(EUI))));
        let (answers, ()) = tokio::join!(posts, close_the_circle);
        for answer in answers {
            assert_eq!(answer.ok()["status"], "recorded");
        }
        eventually("the database has counted it", async || {
            let deadlocks = "SELECT deadlocks::text FROM pg_stat_database \
                             WHERE datname = current_database()";
            (query_text(&url, deadlocks).await == "1").then_some(())
        })
        .await;
    })
    .await;
}

/// A hub that sheds load gives the reason in its log, and seldom.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_puts_off_has_its_reason_in_the_log() {
    let hub = Hub::start_with(Database::Sqlite, &["--request-timeout-s", "1"]).await;
    let held = held(&hub).await;
    for _ in 0..2 {
        let request = hub.request(Method::POST, "devices").bearer_auth(&hub.token);
        let request = request.header("Content-Type", "application/json");
        hub.answer(request.body(json!({"id": "d"}).to_string()))
            .await
            .refused(503);
    }
    held.end().await;
    let log = hub.log();
    let lines = log
        .matches("request put off: the request took too long")
        .count();
    assert_eq!(lines, 1, "{log}");
}
