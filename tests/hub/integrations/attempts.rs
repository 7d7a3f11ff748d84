//! Attempts of an integration by its own rules: how long one may take, and how many there are at a time.

use serde_json::json;

use crate::{
    integrations::rules::{EUIS, deliveries, integration},
    support::{
        database::{Database, on_both_databases},
        server::Hub,
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    the_time_of_an_attempt_is_the_integrations,
    no_more_attempts_than_the_concurrency,
);

const TO_HERE: [&str; 2] = ["--outgoing-allow", "127.0.0.0/8"];

async fn the_time_of_an_attempt_is_the_integrations(database: Database) {
    let flags = [&TO_HERE[..], &["--delivery-timeout-s", "2"]].concat();
    let (hub, connection) = Hub::with_device(database, &flags).await;
    let short = Sink::start(&[], Cue::Hang).await;
    let default = Sink::start(&[], Cue::Hang).await;
    // One that answers in the end.
    let long = Sink::start(&[Cue::Wait], Cue::Status(200)).await;
    let rules = |name: &str, timeout_s: Option<u32>| {
        let mut rules = json!({"name": name, "delivery": {"schedule_s": [0]}});
        if let Some(timeout_s) = timeout_s {
            rules["delivery"]["timeout_s"] = timeout_s.into();
        }
        rules
    };
    let long_path = integration(&hub, &long.url, rules("long", Some(300))).await;
    let short_path = integration(&hub, &short.url, rules("short", Some(1))).await;
    let default_path = integration(&hub, &default.url, rules("default", None)).await;
    hub.uplink(&connection, EUIS[0]).await;
    for (path, seconds) in [(&short_path, 1), (&default_path, 2)] {
        let dead = deliveries(&hub, path, "dead", 1).await.remove(0);
        let attempts = dead["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 2, "{dead}");
        for attempt in attempts {
            let error = attempt["error"].as_str().unwrap();
            assert!(error.contains(&format!("in {seconds} second")), "{error}");
            let took = attempt["duration_ms"].as_i64().unwrap();
            assert!(took >= seconds * 1000, "{dead}");
        }
    }
    // The hub's own time has passed twice by now.
    long.go_on();
    let delivered = deliveries(&hub, &long_path, "delivered", 1).await.remove(0);
    assert_eq!(delivered["attempt"], 1, "{delivered}");
    assert_eq!(long.received().len(), 1);
}

async fn no_more_attempts_than_the_concurrency(database: Database) {
    const CONCURRENCY: usize = 3;
    let (hub, connection) = Hub::with_device(database, &TO_HERE).await;
    let sink = Sink::start(&[], Cue::Wait).await;
    let other = Sink::willing().await;
    let rules = json!({"delivery": {"concurrency": CONCURRENCY, "timeout_s": 300}});
    let path = integration(&hub, &sink.url, rules).await;
    hub.integration("other", "", &other.url).await;
    for number in 1..=8 {
        hub.uplink(&connection, EUIS[0]).await;
        // Meanwhile the queue of the first one is read as well.
        other.gets(number).await;
    }
    assert_eq!(sink.gets(CONCURRENCY).await.len(), CONCURRENCY);
    // Each place that becomes free is taken by one.
    for done in 1..=3 {
        sink.go_on();
        deliveries(&hub, &path, "delivered", done).await;
        let received = sink.gets(CONCURRENCY + done).await;
        assert_eq!(received.len(), CONCURRENCY + done);
    }
}
