//! The target `postgres` against servers that are none: whatever they answer, the hub lives, serves everybody else,
//! and says what is wrong.

use std::sync::atomic::Ordering;

use nix::{sys::signal::kill, unistd::Pid};
use serde_json::json;

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        fake_postgres::{FakePostgres, Mood, PASSWORD},
        server::{EUI, Hub, MEMORY_MAX_KIB},
        sink::Sink,
    },
};

on_both_databases!(
    types_without_end_stop_nothing,
    answers_without_end_stop_nothing,
    passwords_are_proven_in_each_way,
    a_proof_is_bound_to_the_certificate,
);

const FLAGS: [&str; 6] = [
    "--outgoing-allow",
    "127.0.0.0/8,::1/128",
    "--delivery-schedule-s",
    "0",
    "--delivery-timeout-s",
    "3",
];

/// The process is the same as before, and has never held more than it may.
fn lives(hub: &Hub, pid: i32) {
    assert_eq!(hub.pid(), pid);
    kill(Pid::from_raw(pid), None).unwrap();
    let peak = hub.peak_kib();
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
}

async fn types_without_end_stop_nothing(database: Database) {
    let server = FakePostgres::start(Mood::Chain).await;
    let sink = Sink::willing().await;
    let (hub, connection) = Hub::with_device(database, &FLAGS).await;
    let pid = hub.pid();
    let sql = hub.integration_to("sql", server.target()).await;
    hub.integration("http", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    sink.gets(1).await;
    // The hub has not asked for any type.
    hub.delivery_in(&sql, "delivered").await;
    assert_eq!(server.inserted.load(Ordering::SeqCst), 1);
    let tested = hub.post(&format!("{sql}/test"), &json!({})).await.ok();
    assert_eq!(tested["is_delivered"], true, "{tested}");
    hub.uplink(&connection, EUI).await;
    sink.gets(2).await;
    lives(&hub, pid);
}

async fn answers_without_end_stop_nothing(database: Database) {
    let moods = [
        (Mood::EndlessGreeting, "too large"),
        (Mood::EndlessNotices, "too large"),
        (Mood::EndlessRows, "too large"),
        (Mood::EndlessMessage, "too large"),
        (Mood::Silent, "no answer in 3 seconds"),
        (Mood::Mute, "no answer in 3 seconds"),
        (Mood::Scram(2_000_000_000), "not possible to log in"),
    ];
    let sink = Sink::willing().await;
    let (hub, connection) = Hub::with_device(database, &FLAGS).await;
    let pid = hub.pid();
    let mut servers = Vec::new();
    let mut integrations = Vec::new();
    for (number, (mood, words)) in moods.into_iter().enumerate() {
        let server = FakePostgres::start(mood).await;
        let name = format!("sql{number}");
        let made = hub.integration_to(&name, server.target()).await;
        servers.push(server);
        integrations.push((made, mood, words));
    }
    hub.integration("http", "", &sink.url).await;
    for count in 1..=3 {
        hub.uplink(&connection, EUI).await;
        sink.gets(count).await;
    }
    for (made, mood, words) in integrations {
        // Only the first of them meets the fault; the others may have waited behind it.
        eventually(&format!("{mood:?} is told of"), async || {
            let dead = hub.list(&format!("{made}/deliveries?state=dead")).await;
            let told = serde_json::to_string(&dead).unwrap();
            assert!(!told.contains(PASSWORD), "{told}");
            told.contains(words).then_some(())
        })
        .await;
    }
    hub.uplink(&connection, EUI).await;
    sink.gets(4).await;
    lives(&hub, pid);
}

async fn passwords_are_proven_in_each_way(database: Database) {
    let (hub, connection) = Hub::with_device(database, &FLAGS).await;
    for (number, mood) in [Mood::Cleartext, Mood::Md5, Mood::Scram(4096)]
        .into_iter()
        .enumerate()
    {
        let server = FakePostgres::start(mood).await;
        let right = hub
            .integration_to(&format!("right{number}"), server.target())
            .await;
        let mut target = server.target();
        target["password"] = "another one".into();
        let wrong = hub.integration_to(&format!("wrong{number}"), target).await;
        hub.uplink(&connection, EUI).await;
        hub.delivery_in(&right, "delivered").await;
        let dead = hub.delivery_in(&wrong, "dead").await;
        let error = dead["last_error"].as_str().unwrap();
        assert_eq!(error, "password authentication failed (SQLSTATE 28P01)");
        for path in [right, wrong] {
            hub.delete(&path).await.ok();
        }
    }
}

async fn a_proof_is_bound_to_the_certificate(database: Database) {
    let server = FakePostgres::start_encrypted(Mood::Scram(4096)).await;
    let (hub, connection) = Hub::with_device(database, &FLAGS).await;
    let mut target = server.target();
    target["host"] = "localhost".into();
    target["tls"] = "required".into();
    target["ca"] = server.ca.clone().into();
    let made = hub.integration_to("sql", target).await;
    hub.uplink(&connection, EUI).await;
    hub.delivery_in(&made, "delivered").await;
    assert_eq!(server.inserted.load(Ordering::SeqCst), 1);
}
