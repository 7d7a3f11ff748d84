//! Deliveries of integrations: retried, kept in order, kept apart, and kept away from this machine.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        rows::{count, fill, id, ids, time},
        server::{EUI, Hub},
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    a_failed_delivery_is_tried_again_under_the_same_id,
    after_the_schedule_it_is_dead,
    an_endpoint_that_hangs_delays_no_other,
    private_addresses_are_refused,
    a_switched_off_integration_waits,
    settled_deliveries_are_kept_for_their_periods,
    many_old_deliveries_go_at_once,
);

/// Settings of a hub that tries again at once.
const AT_ONCE: [&str; 2] = ["--delivery-schedule-s", "0,0,0"];
const TO_HERE: [&str; 4] = [
    "--outgoing-allow",
    "127.0.0.0/8",
    "--delivery-schedule-s",
    "0,0,0",
];

/// The only delivery of the integration, once it is in this state.
async fn delivery(hub: &Hub, integration: i64, state: &str) -> Value {
    let path = format!("integrations/{integration}/deliveries");
    eventually("the delivery is in its state", async || {
        let found = hub.list(&path).await;
        assert!(found.len() <= 1, "{found:?}");
        found
            .into_iter()
            .find(|delivery| delivery["state"] == state)
    })
    .await
}

async fn a_failed_delivery_is_tried_again_under_the_same_id(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let cues = [Cue::Status(500), Cue::Status(302)];
    let sink = Sink::start(&cues, Cue::Status(204)).await;
    let integration = hub.integration("erp", "", &sink.url).await;
    let uplink = hub.uplink(&connection, EUI).await;

    let delivered = delivery(&hub, integration, "delivered").await;
    assert_eq!(delivered["uplink_id"], uplink);
    assert_eq!(
        (&delivered["attempt"], &delivered["last_status"]),
        (&json!(3), &json!(204))
    );
    assert_eq!(delivered["next_attempt_at"], Value::Null);
    let attempts = delivered["attempts"].as_array().unwrap();
    let statuses: Vec<&Value> = attempts.iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(statuses, [500, 302, 204]);
    assert!(
        attempts[0]["error"].as_str().unwrap().contains("500"),
        "{attempts:?}"
    );
    assert_eq!(attempts[2]["error"], Value::Null);
    let received = sink.received();
    assert_eq!(received.len(), 3);
    for (number, message) in received.iter().enumerate() {
        assert_eq!(message.header("webhook-id"), delivered["id"]);
        assert_eq!(message.header("webhook-attempt"), (number + 1).to_string());
        assert_eq!(message.body, received[0].body);
    }
    let path = format!("integrations/{integration}/deliveries?state=");
    assert_eq!(hub.list(&format!("{path}delivered")).await.len(), 1);
    assert_eq!(hub.list(&format!("{path}dead")).await.len(), 0);
    hub.get(&format!("{path}nonsense")).await.refused(400);
}

async fn after_the_schedule_it_is_dead(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::start(&[], Cue::Status(500)).await;
    let integration = hub.integration("erp", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    let dead = delivery(&hub, integration, "dead").await;
    assert_eq!(dead["attempts"].as_array().unwrap().len(), 4);
    assert_eq!(sink.received().len(), 4);
    assert_eq!(dead["next_attempt_at"], Value::Null);
    assert!(
        dead["last_error"].as_str().unwrap().contains("500"),
        "{dead}"
    );
}

async fn an_endpoint_that_hangs_delays_no_other(database: Database) {
    let flags = [&TO_HERE[..], &["--delivery-concurrency", "1"]].concat();
    let (hub, connection) = Hub::with_device(database, &flags).await;
    let hanging = Sink::start(&[], Cue::Hang).await;
    let willing = Sink::willing().await;
    hub.integration("hanging", "", &hanging.url).await;
    hub.integration("willing", "", &willing.url).await;
    for _ in 0..5 {
        hub.uplink(&connection, EUI).await;
    }
    hanging.gets(1).await;
    // The bound of the wait: an attempt may take 15 seconds, five of them 75.
    willing.gets(5).await;
    assert_eq!(hanging.received().len(), 1);
}

async fn private_addresses_are_refused(database: Database) {
    let (mut hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::willing().await;
    let by_name = sink.url.replace("127.0.0.1", "localhost");
    let by_number = hub.integration("number", "", &sink.url).await;
    let by_name = hub.integration("name", "", &by_name).await;
    // The operator allows less than before.
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&AT_ONCE).await;
    hub.uplink(&connection, EUI).await;
    for integration in [by_number, by_name] {
        let dead = delivery(&hub, integration, "dead").await;
        let error = dead["attempts"][0]["error"].as_str().unwrap();
        assert!(error.contains("outgoing_allow"), "{error}");
        assert_eq!(dead["last_status"], Value::Null);
    }
    assert!(sink.received().is_empty());
}

async fn a_switched_off_integration_waits(database: Database) {
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::willing().await;
    let id = hub.integration("erp", "", &sink.url).await;
    let path = format!("integrations/{id}");
    let mut body = json!({"name": "erp", "selector": "", "enabled": false,
        "target": {"type": "http", "url": sink.url}});
    assert_eq!(hub.put(&path, &body).await.ok()["enabled"], false);
    hub.uplink(&connection, EUI).await;
    assert!(hub.list(&format!("{path}/deliveries")).await.is_empty());
    body["enabled"] = true.into();
    hub.put(&path, &body).await.ok();
    let uplink = hub.uplink(&connection, EUI).await;
    assert_eq!(delivery(&hub, id, "delivered").await["uplink_id"], uplink);
    assert_eq!(sink.received().len(), 1);
}

/// Ages of settled deliveries in days, each with whether it is kept: delivered ones are kept for 7 days, dead ones for
/// 30.
const DELIVERED: [(i64, bool); 3] = [(8, false), (6, true), (1, true)];
const DEAD: [(i64, bool); 3] = [(31, false), (29, true), (8, true)];

async fn settled_deliveries_are_kept_for_their_periods(database: Database) {
    let (mut hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let (willing, broken) = (
        Sink::willing().await,
        Sink::start(&[], Cue::Status(500)).await,
    );
    let delivered = hub.integration("willing", "", &willing.url).await;
    let dead = hub.integration("broken", "", &broken.url).await;
    for _ in 0..3 {
        hub.uplink(&connection, EUI).await;
    }
    let path = |integration: i64| format!("integrations/{integration}/deliveries");
    let mut kept = Vec::new();
    for (integration, state, ages) in [(delivered, "delivered", DELIVERED), (dead, "dead", DEAD)] {
        let settled = format!("{}?state={state}", path(integration));
        let found = eventually("all are settled", async || {
            let found = hub.list(&settled).await;
            (found.len() == ages.len()).then_some(found)
        })
        .await;
        let numbers = (0..).zip(found.iter().zip(ages));
        for (number, (delivery, (days, is_kept))) in numbers {
            let old = delivery["id"].as_str().unwrap();
            let old = match &hub.database {
                Database::Sqlite => format!("x'{}'", old.replace('-', "")),
                Database::Postgres(_) => format!("'{old}'"),
            };
            hub.sql(&format!(
                "DELETE FROM delivery_attempts WHERE delivery_id = {old}"
            ))
            .await;
            let (new, at) = (id(&hub, days, number), time(days));
            hub.sql(&format!(
                "UPDATE deliveries SET id = {new}, created_at = {at}, updated_at = {at} WHERE id = {old}"
            ))
            .await;
            if is_kept {
                kept.push((integration, time(days)[1..11].to_owned()));
            }
        }
    }
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&TO_HERE).await;
    let left = async |integration: i64| {
        let found = hub.list(&path(integration)).await;
        let days = found
            .iter()
            .map(|one| one["created_at"].as_str().unwrap()[..10].to_owned());
        days.map(|day| (integration, day)).collect::<Vec<_>>()
    };
    // The hub looks for dead ones first.
    eventually("an old delivered one is gone", async || {
        (left(delivered).await.len() < DELIVERED.len()).then_some(())
    })
    .await;
    let mut found = left(delivered).await;
    found.extend(left(dead).await);
    found.sort();
    kept.sort();
    assert_eq!(found, kept);
}

async fn many_old_deliveries_go_at_once(database: Database) {
    /// More than are deleted in two steps.
    const MANY: u32 = 2100;
    let (mut hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::willing().await;
    let integration = hub.integration("erp", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    delivery(&hub, integration, "delivered").await;
    for (state, days) in [("delivered", 400), ("dead", 401)] {
        let (id, at) = (ids(&hub, days), time(days));
        let columns = "tenant_id, id, integration_id, device_id, subject_id, state, attempt, body, created_at, \
             updated_at, kind, ordered, round_start";
        let values = format!(
            "(SELECT tenant_id FROM integrations WHERE id = {integration}), {id}, {integration}, 'd', {id}, \
             '{state}', 1, '{{}}', {at}, {at}, 'data', FALSE, 0"
        );
        fill(&hub, MANY, "deliveries", columns, &values).await;
    }
    assert_eq!(count(&hub, "deliveries").await, u64::from(2 * MANY + 1));
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&TO_HERE).await;
    eventually("all old ones are gone", async || {
        (count(&hub, "deliveries").await == 1).then_some(())
    })
    .await;
}
