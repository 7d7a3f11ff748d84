//! The rules of an integration's deliveries, and what operators do about it: order, pause and resume,
//! health, dead letters, sending again, tests, and hubs that share a database.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases, on_postgres},
        metrics::metric,
        server::{Connection, Hub},
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    a_device_s_deliveries_keep_their_order,
    a_receiver_that_asks_for_rest_gets_it,
    what_fails_for_too_long_is_paused,
    a_client_pauses_and_resumes,
    dead_letters_tell_why_and_are_sent_again,
    a_test_is_sent_past_the_queue,
    no_more_attempts_a_second_than_the_rate,
    what_was_settled_long_ago_is_forgotten,
    rules_out_of_bounds_are_named,
);

pub const EUIS: [&str; 2] = ["AA00000000000001", "AA00000000000002"];

/// A hub that retries at once, with a connection and two devices, `d0` and `d1`.
pub async fn hub(database: Database) -> (Hub, Connection) {
    let flags = [
        "--delivery-schedule-s",
        "0,0,0",
        "--outgoing-allow",
        "127.0.0.0/8",
    ];
    let hub = Hub::start_with(database, &flags).await;
    let connection = hub.connect("tts").await;
    for (number, eui) in EUIS.iter().enumerate() {
        let id = format!("d{number}");
        hub.device(&id, &connection, eui, json!({})).await;
    }
    (hub, connection)
}

pub async fn integration(hub: &Hub, url: &str, more: Value) -> String {
    let mut body = json!({"name": "erp", "selector": "", "target": {"type": "http", "url": url}});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = hub.post("integrations", &body).await.created();
    format!("integrations/{}", made["id"])
}

/// Waits until the integration's deliveries in this state are so many.
pub async fn deliveries(hub: &Hub, path: &str, state: &str, count: usize) -> Vec<Value> {
    let list = format!("{path}/deliveries?sort=created_at&limit=1000&state={state}");
    eventually("the deliveries are in their state", async || {
        Some(hub.list(&list).await).filter(|found| found.len() >= count)
    })
    .await
}

/// Waits until the integration is in this health state.
async fn health(hub: &Hub, path: &str, state: &str) -> Value {
    eventually("the integration's health is in its state", async || {
        let health = hub.get(path).await.ok()["health"].clone();
        Some(health).filter(|health| health["state"] == state)
    })
    .await
}

pub fn device_of(body: &Value) -> &Value {
    &body["uplink_metadata"]["id"]
}

async fn a_device_s_deliveries_keep_their_order(database: Database) {
    let (hub, connection) = hub(database).await;
    let failing = [Cue::Status(400), Cue::Status(500), Cue::Wait];
    let sink = Sink::start(&failing, Cue::Status(200)).await;
    let policy = json!({"delivery": {"ordered_by_device": true, "schedule_s": [0, 0]}});
    let path = integration(&hub, &sink.url, policy).await;
    // The first device's first delivery fails, while those behind it wait.
    let first = hub.uplink(&connection, EUIS[0]).await;
    sink.gets(3).await;
    let mut sent = vec![first];
    for _ in 0..5 {
        sent.push(hub.uplink(&connection, EUIS[0]).await);
    }
    let other = hub.uplink(&connection, EUIS[1]).await;
    // It holds nothing of the other device back.
    let delivered = deliveries(&hub, &path, "delivered", 1).await;
    assert_eq!(delivered[0]["uplink_id"], other);
    assert_eq!(delivered.len(), 1);
    sink.go_on();
    let delivered = deliveries(&hub, &path, "delivered", 7).await;
    let of_first = delivered.iter().filter(|one| one["device_id"] == "d0");
    let ids: Vec<&Value> = of_first.map(|one| &one["uplink_id"]).collect();
    assert_eq!(ids, sent.iter().collect::<Vec<_>>());
    // The order of arrival.
    let received = sink.received();
    let order: Vec<&str> = received
        .iter()
        .filter(|one| device_of(&one.body) == "d0")
        .map(|one| one.header("webhook-id"))
        .collect();
    let mut distinct = order.clone();
    distinct.dedup();
    let expected: Vec<&str> = delivered
        .iter()
        .filter(|one| one["device_id"] == "d0")
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(distinct, expected, "{order:?}");
}

async fn a_receiver_that_asks_for_rest_gets_it(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::start(&[Cue::After(429, 3600)], Cue::Status(200)).await;
    let path = integration(&hub, &sink.url, json!({})).await;
    hub.uplink(&connection, EUIS[0]).await;
    let health = health(&hub, &path, "failing").await;
    assert_eq!(health["last_status"], 429);
    // Another message is not tried either: its receiver wants to be left alone.
    hub.uplink(&connection, EUIS[1]).await;
    let waiting = deliveries(&hub, &path, "pending", 2).await;
    assert_eq!(waiting[0]["last_answer"], "come back later");
    assert_eq!(waiting[0]["attempt"], 1);
    assert_eq!(waiting[1]["attempt"], 0);
    let backlog = hub.get(&format!("{path}/health")).await.ok();
    assert_eq!(backlog["pending"], 2);
    assert_eq!(backlog["oldest_pending_at"], waiting[0]["created_at"]);
    // A test goes past the queue, and past the rest.
    let tested = hub.post(&format!("{path}/test"), &json!({})).await.ok();
    assert_eq!(tested["is_delivered"], true);
    assert_eq!(sink.received().len(), 2);
    // A change of the integration ends the rest. The first message keeps the time that its receiver has asked for.
    let changed = json!({"name": "erp", "selector": "", "description": "changed",
        "target": {"type": "http", "url": sink.url}});
    hub.put(&path, &changed).await.ok();
    let delivered = deliveries(&hub, &path, "delivered", 1).await;
    assert_eq!(delivered[0]["id"], waiting[1]["id"]);
    assert_eq!(sink.received().len(), 3);
}

async fn what_fails_for_too_long_is_paused(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::start(&[], Cue::Status(500)).await;
    let schedule = vec![0; 20];
    let policy = json!({"delivery": {"pause_after_s": 1, "schedule_s": schedule}});
    let path = integration(&hub, &sink.url, policy).await;
    let paused = eventually("it is paused", async || {
        hub.uplink(&connection, EUIS[0]).await;
        let health = hub.get(&path).await.ok()["health"].clone();
        Some(health).filter(|health| health["state"] == "paused")
    })
    .await;
    let reason = paused["pause_reason"].as_str().unwrap();
    assert!(
        reason.contains("500") && reason.contains("1 second"),
        "{reason}"
    );
    let noted = hub.list("audit-log?action=pause_integration").await;
    assert_eq!(noted.len(), 1, "{noted:?}");
    let pauses = "thingshub_integrations_paused_total";
    eventually("the pause is counted", async || {
        (metric(&hub, &hub.token, pauses).await == 1.0).then_some(())
    })
    .await;
    assert_eq!(hub.list("integrations?health=paused").await.len(), 1);
    assert!(hub.list("integrations?health=failing").await.is_empty());
    // A second pause by a person keeps the reason and the time of the automatic one.
    let again = hub.post(&format!("{path}/pause"), &json!({})).await.ok();
    for member in ["state", "pause_reason", "paused_at"] {
        assert_eq!(again["health"][member], paused[member]);
    }
    let noted = hub.list("audit-log?action=pause_integration").await;
    assert_eq!(noted.len(), 1, "{noted:?}");
    // Whoever resumes it gives it the whole time again. It is disabled, so that no attempt fails meanwhile.
    assert!(paused["failing_since"].is_string(), "{paused}");
    assert!(
        paused["last_failed_at"].as_str() > paused["failing_since"].as_str(),
        "{paused}"
    );
    assert_eq!(paused["last_delivered_at"], Value::Null, "{paused}");
    let off = json!({"name": "erp", "selector": "", "enabled": false,
        "target": {"type": "http", "url": sink.url}});
    hub.put(&path, &off).await.ok();
    let resumed = hub.post(&format!("{path}/resume"), &json!({})).await.ok();
    assert_eq!(resumed["health"]["failing_since"], Value::Null, "{resumed}");
    assert_eq!(resumed["health"]["paused_at"], Value::Null, "{resumed}");
    assert!(resumed["health"]["last_failed_at"].is_string(), "{resumed}");
}

async fn a_client_pauses_and_resumes(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::willing().await;
    let path = integration(&hub, &sink.url, json!({})).await;
    assert_eq!(hub.get(&path).await.ok()["health"]["state"], "never_sent");
    let paused = hub.post(&format!("{path}/pause"), &json!({})).await.ok();
    assert_eq!(paused["health"]["state"], "paused");
    // Another integration gets each message meanwhile.
    let other = Sink::willing().await;
    hub.integration("other", "", &other.url).await;
    for number in 1..=5 {
        hub.uplink(&connection, EUIS[0]).await;
        other.gets(number).await;
    }
    let waiting = deliveries(&hub, &path, "pending", 5).await;
    assert!(waiting.iter().all(|one| one["attempt"] == 0));
    assert!(sink.received().is_empty());
    hub.post(&format!("{path}/resume"), &json!({})).await.ok();
    deliveries(&hub, &path, "delivered", 5).await;
    assert_eq!(sink.received().len(), 5);
    let health = health(&hub, &path, "ok").await;
    assert_eq!(health["delivered"], 5);
    assert_eq!(health["paused_at"], Value::Null);
}

async fn dead_letters_tell_why_and_are_sent_again(database: Database) {
    let (hub, connection) = hub(database).await;
    let cues = [Cue::After(400, 0); 8];
    let sink = Sink::start(&cues, Cue::Status(200)).await;
    let path = integration(&hub, &sink.url, json!({})).await;
    hub.uplink(&connection, EUIS[0]).await;
    deliveries(&hub, &path, "dead", 1).await;
    hub.uplink(&connection, EUIS[1]).await;
    let dead = deliveries(&hub, &path, "dead", 2).await;
    assert_eq!(dead[0]["last_status"], 400);
    assert_eq!(dead[0]["last_answer"], "come back later");
    assert_eq!(hub.get(&path).await.ok()["health"]["dead"], 2);

    let one = format!("{path}/deliveries/{}", dead[0]["id"].as_str().unwrap());
    hub.post(&format!("{one}/resend"), &json!({})).await.ok();
    let delivered = deliveries(&hub, &path, "delivered", 1).await;
    assert_eq!(delivered[0]["id"], dead[0]["id"]);
    assert_eq!(delivered[0]["attempt"], 5);
    assert_eq!(
        hub.get(&one).await.ok()["attempts"]
            .as_array()
            .unwrap()
            .len(),
        5
    );

    let resend = format!("{path}/deliveries/resend");
    let queued_at = dead[1]["created_at"].clone();
    for none in [
        json!({"device_id": "d0"}),
        json!({"to": queued_at}),
        json!({"from": "2099-01-01T00:00:00Z"}),
    ] {
        assert_eq!(hub.post(&resend, &none).await.ok()["queued"], 0, "{none}");
    }
    let resent = hub.post(&resend, &json!({})).await.ok();
    assert_eq!(
        resent,
        json!({"queued": 1, "is_complete": true, "last_id": null})
    );
    let delivered = deliveries(&hub, &path, "delivered", 2).await;
    // A call that ended early is continued by the next one.
    let rest = json!({"state": "delivered", "after": delivered[0]["id"]});
    assert_eq!(hub.post(&resend, &rest).await.ok()["queued"], 1);
    sink.gets(8 + 3).await;
    deliveries(&hub, &path, "delivered", 2).await;
    let rest = json!({"state": "delivered", "after": delivered[1]["id"]});
    assert_eq!(hub.post(&resend, &rest).await.ok()["queued"], 0);
    let again = json!({"state": "delivered"});
    assert_eq!(hub.post(&resend, &again).await.ok()["queued"], 2);
    sink.gets(8 + 5).await;
    let missing = uuid::Uuid::now_v7();
    let missing = format!("{path}/deliveries/{missing}/resend");
    hub.post(&missing, &json!({})).await.refused(404);
    hub.post(&resend, &json!({"state": "pending"}))
        .await
        .refused(400);
}

async fn a_test_is_sent_past_the_queue(database: Database) {
    let (hub, _) = hub(database).await;
    let sink = Sink::start(&[Cue::Status(200)], Cue::After(403, 1)).await;
    let path = integration(&hub, &sink.url, json!({"enabled": false})).await;
    let test = format!("{path}/test");
    let taken = hub.post(&test, &json!({})).await.ok();
    assert_eq!(
        (&taken["is_delivered"], &taken["status"]),
        (&json!(true), &json!(200))
    );
    let received = sink.received();
    assert_eq!(received[0].body["event"], "test");
    assert_eq!(received[0].header("webhook-id"), taken["delivery_id"]);
    let refused = hub.post(&test, &json!({})).await.ok();
    assert_eq!(refused["is_delivered"], false);
    assert_eq!(refused["answer"], "come back later");
    assert!(refused["error"].as_str().unwrap().contains("403"));
    assert!(hub.list(&format!("{path}/deliveries")).await.is_empty());
    assert_eq!(hub.get(&path).await.ok()["health"]["state"], "never_sent");
}

async fn no_more_attempts_a_second_than_the_rate(database: Database) {
    let (hub, connection) = hub(database).await;
    let sink = Sink::willing().await;
    let policy = json!({"delivery": {"rate_per_s": 2, "concurrency": 8}});
    let path = integration(&hub, &sink.url, policy).await;
    for _ in 0..4 {
        hub.uplink(&connection, EUIS[0]).await;
    }
    let delivered = deliveries(&hub, &path, "delivered", 4).await;
    let mut times: Vec<chrono::DateTime<chrono::Utc>> = delivered
        .iter()
        .map(|one| one["attempts"][0]["at"].as_str().unwrap().parse().unwrap())
        .collect();
    times.sort_unstable();
    // A burst of a tenth of a second at most: four attempts take three halves of a second.
    let span = (times[3] - times[0]).num_milliseconds();
    assert!(span >= 1200, "{span} ms");
}

async fn what_was_settled_long_ago_is_forgotten(database: Database) {
    let (mut hub, connection) = hub(database).await;
    let sink = Sink::willing().await;
    let path = integration(&hub, &sink.url, json!({})).await;
    hub.uplink(&connection, EUIS[0]).await;
    deliveries(&hub, &path, "delivered", 1).await;
    hub.end(Signal::SIGTERM).await;
    // All were queued as long ago as a time-sorted id can say.
    let long_ago = "'1970-01-01T00:00:00+00:00'";
    let rows = [
        ("pending", "'2098-01-01T00:00:00+00:00'", long_ago),
        ("delivered", "NULL", long_ago),
        ("dead", "NULL", long_ago),
        ("delivered", "NULL", "updated_at"),
        ("dead", "NULL", "updated_at"),
    ];
    for (number, (state, due, updated_at)) in rows.iter().enumerate() {
        let id = match &hub.database {
            Database::Sqlite => format!("x'0000000000007000800000000000000{number}'"),
            Database::Postgres(_) => format!("'00000000-0000-7000-8000-00000000000{number}'"),
        };
        hub.sql(&format!(
            "INSERT INTO deliveries (tenant_id, id, integration_id, device_id, subject_id, state, \
             attempt, due_at, body, created_at, updated_at) SELECT tenant_id, {id}, integration_id, \
             device_id, subject_id, '{state}', 1, {due}, body, {long_ago}, {updated_at} \
             FROM deliveries WHERE created_at > '2020-01-01T00:00:00+00:00' LIMIT 1"
        ))
        .await;
    }
    hub.start_again().await;
    let list = format!("{path}/deliveries?sort=created_at");
    let left = eventually("what was settled long ago is gone", async || {
        Some(hub.list(&list).await).filter(|found| found.len() <= 4)
    })
    .await;
    let states: Vec<&Value> = left.iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["pending", "delivered", "dead", "delivered"]);
}

async fn rules_out_of_bounds_are_named(database: Database) {
    let (hub, _) = hub(database).await;
    for (field, value) in [
        ("concurrency", json!(0)),
        ("concurrency", json!(257)),
        ("rate_per_s", json!(0)),
        ("timeout_s", json!(301)),
        ("schedule_s", json!(vec![1; 21])),
        ("schedule_s", json!([604_801])),
        ("schedule_s", json!([-1])),
        ("pause_after_s", json!(0)),
        ("ordered_by_device", json!("yes")),
        ("nonsense", json!(1)),
    ] {
        let body = json!({"name": "erp", "selector": "", "delivery": {field: value},
            "target": {"type": "http", "url": "https://example.com/"}});
        let refused = hub.post("integrations", &body).await.refused(400);
        assert!(refused.contains(field), "{field}: {refused}");
    }
    for events in [json!([]), json!(["nonsense"])] {
        let body = json!({"name": "erp", "selector": "", "events": events,
            "target": {"type": "http", "url": "https://example.com/"}});
        let refused = hub.post("integrations", &body).await.refused(400);
        assert!(refused.contains("events"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_takes_over_what_another_leaves() {
    on_postgres(async |database: Database| {
        let (mut one, connection) = hub(database.clone()).await;
        let flags = ["--outgoing-allow", "127.0.0.0/8"];
        let two = Hub::start_with(database, &flags).await;
        let hanging = Sink::start(&[Cue::Hang; 4], Cue::Status(200)).await;
        let path = integration(&one, &hanging.url, json!({})).await;
        let mut sent = Vec::new();
        for _ in 0..4 {
            sent.push(one.uplink(&connection, EUIS[0]).await);
        }
        hanging.gets(4).await;
        one.end(Signal::SIGKILL).await;
        let delivered = deliveries(&two, &path, "delivered", 4).await;
        let uplinks: Vec<&Value> = delivered.iter().map(|one| &one["uplink_id"]).collect();
        assert_eq!(uplinks, sent.iter().collect::<Vec<_>>());
        // Whichever hub holds the lease, it delivers what the other takes in.
        one.start_again().await;
        one.uplink(&connection, EUIS[0]).await;
        deliveries(&two, &path, "delivered", 5).await;
    })
    .await;
}
