//! The end or next attempt of a delivery for each status that its receiver answers. The statuses come from
//! docs/delivery.md.

use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};

use crate::{
    eventually,
    integrations::rules::{EUIS, deliveries},
    repository,
    support::{
        database::{Database, on_both_databases},
        server::{Connection, Hub},
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    each_2xx_delivers_and_nothing_else,
    a_rest_is_for_all_with_the_documented_statuses,
    a_fault_of_a_message_does_not_stop_the_others,
    a_target_that_is_away_is_probed,
);

/// Statuses of receivers in the field.
const REFUSALS: [u16; 20] = [
    400, 401, 403, 404, 405, 406, 408, 409, 410, 412, 413, 414, 415, 422, 425, 429, 500, 502, 503,
    504,
];

/// The statuses in the part of the page that the pattern finds.
fn documented(pattern: &str) -> Vec<u16> {
    let page = std::fs::read_to_string(repository("docs/delivery.md")).unwrap();
    let page = page.split_whitespace().collect::<Vec<&str>>().join(" ");
    let part = Regex::new(pattern).unwrap().captures(&page);
    let part = part.unwrap_or_else(|| panic!("the page lacks {pattern}"))[1].to_owned();
    let number = Regex::new(r"\d{3}").unwrap();
    let found = number.find_iter(&part).map(|found| found.as_str().parse());
    found.collect::<Result<_, _>>().unwrap()
}

async fn hub(database: Database) -> (Hub, Connection) {
    let flags = ["--outgoing-allow", "127.0.0.0/8"];
    let hub = Hub::start_with(database, &flags).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUIS[0], json!({})).await;
    (hub, connection)
}

async fn integration(hub: &Hub, name: &str, sink: &Sink, delivery: Value) -> String {
    let body = json!({"name": name, "selector": "", "delivery": delivery,
        "target": {"type": "http", "url": sink.url}});
    let made = hub.post("integrations", &body).await.created();
    format!("integrations/{}", made["id"])
}

async fn each_2xx_delivers_and_nothing_else(database: Database) {
    let (hub, connection) = hub(database).await;
    let mut receivers = Vec::new();
    let others = [304, 399].into_iter().chain(REFUSALS);
    for status in [200, 201, 202, 204, 206, 208, 226, 299]
        .into_iter()
        .chain(others)
    {
        let sink = Sink::start(&[], Cue::Status(status)).await;
        let path = integration(&hub, &status.to_string(), &sink, json!({"schedule_s": [0]})).await;
        receivers.push((status, path, sink));
    }
    hub.uplink(&connection, EUIS[0]).await;
    for (status, path, sink) in receivers {
        let is_taken = status < 300;
        let state = if is_taken { "delivered" } else { "dead" };
        let ended = deliveries(&hub, &path, state, 1).await.remove(0);
        let attempts = if is_taken { 1 } else { 2 };
        assert_eq!(ended["attempt"], attempts, "{status}: {ended}");
        assert_eq!(ended["last_status"], status, "{status}: {ended}");
        assert_eq!(sink.received().len(), attempts, "{status}");
    }
}

async fn a_rest_is_for_all_with_the_documented_statuses(database: Database) {
    let pausing = documented(r"With (\d{3} or \d{3}), the whole integration waits");
    assert!(!pausing.is_empty());
    let (hub, connection) = hub(database).await;
    let mut receivers = Vec::new();
    for status in REFUSALS {
        let sink = Sink::start(&[Cue::After(status, 3600)], Cue::Status(200)).await;
        let path = integration(&hub, &status.to_string(), &sink, json!({})).await;
        receivers.push((status, path, sink));
    }
    hub.uplink(&connection, EUIS[0]).await;
    for (status, path, _) in &receivers {
        eventually("the first attempt is settled", async || {
            let found = hub.list(&format!("{path}/deliveries")).await;
            (found[0]["last_status"] == *status && found[0]["state"] == "pending").then_some(())
        })
        .await;
    }
    // Each further message has gone to all that are not at rest before the next one comes.
    for number in 2..=4 {
        hub.uplink(&connection, EUIS[0]).await;
        for (status, _, sink) in &receivers {
            if !pausing.contains(status) {
                sink.gets(number).await;
            }
        }
    }
    for (status, path, sink) in &receivers {
        let count = if pausing.contains(status) { 1 } else { 4 };
        assert_eq!(sink.received().len(), count, "{status}");
        // The failed one itself waits for as long as the receiver asks, whatever the status is.
        let found = hub
            .list(&format!("{path}/deliveries?sort=created_at"))
            .await;
        let time = |value: &Value| -> chrono::DateTime<chrono::Utc> {
            value.as_str().unwrap().parse().unwrap()
        };
        let began = time(&found[0]["attempts"][0]["at"]);
        let wait = time(&found[0]["next_attempt_at"]) - began;
        assert!(
            (3600..=3660).contains(&wait.num_seconds()),
            "{status}: {wait}"
        );
    }
}

/// Failures of a target in a row, after which it is probed: the bound of the page.
fn failures_max() -> usize {
    let page = std::fs::read_to_string(repository("docs/delivery.md")).unwrap();
    let number = Regex::new(r"After (\d+) consecutive failures").unwrap();
    number.captures(&page).unwrap()[1].parse().unwrap()
}

async fn a_fault_of_a_message_does_not_stop_the_others(database: Database) {
    let about_messages = documented(r"do not concern the message itself \(([^)]*) do\)");
    assert!(about_messages.len() > 2, "{about_messages:?}");
    let (hub, connection) = hub(database).await;
    let mut receivers = Vec::new();
    for status in REFUSALS {
        let sink = Sink::start(&[], Cue::Status(status)).await;
        let rules = json!({"concurrency": 1, "schedule_s": [0, 0]});
        let path = integration(&hub, &status.to_string(), &sink, rules).await;
        receivers.push((status, path, sink));
    }
    let messages = failures_max();
    for _ in 0..messages {
        hub.uplink(&connection, EUIS[0]).await;
    }
    for (status, path, sink) in &receivers {
        if about_messages.contains(status) {
            // A fault of one message may pass: it is tried again as any other.
            let dead = deliveries(&hub, path, "dead", messages).await;
            assert!(dead.iter().all(|one| one["attempt"] == 3), "{status}");
            assert_eq!(sink.received().len(), 3 * messages, "{status}");
        }
    }
    for (status, _, sink) in &receivers {
        if !about_messages.contains(status) {
            let attempts = sink.gets(messages).await.len();
            // A few probes may have gone out by now, at growing intervals.
            let bound = messages..=messages + 12;
            assert!(bound.contains(&attempts), "{status}: {attempts}");
        }
    }
}

async fn a_target_that_is_away_is_probed(database: Database) {
    /// Attempts at a time, of which all but one may end after the bound is reached.
    const CONCURRENCY: usize = 4;
    let (hub, connection) = hub(database).await;
    let failures = failures_max() + CONCURRENCY;
    let sink = Sink::start(&vec![Cue::Status(500); failures], Cue::Status(200)).await;
    let rules = json!({"concurrency": CONCURRENCY, "schedule_s": vec![0; 20]});
    let path = integration(&hub, "away", &sink, rules).await;
    // All wait when it begins, so that none uses up its schedule alone.
    hub.post(&format!("{path}/pause"), &json!({})).await.ok();
    let messages = 20;
    for _ in 0..messages {
        hub.uplink(&connection, EUIS[0]).await;
    }
    hub.post(&format!("{path}/resume"), &json!({})).await.ok();
    // A success opens it for all that wait.
    deliveries(&hub, &path, "delivered", messages).await;
    let received = sink.received();
    assert_eq!(received.len(), failures + messages);
    // The last failure was a probe, and so was the first success: each came alone, after a wait of half of the
    // first interval at least.
    for probe in [failures - 1, failures] {
        let waited = received[probe].at - received[probe - 1].at;
        assert!(waited >= Duration::from_millis(250), "{probe}: {waited:?}");
    }
}
