//! Answers of receivers that no database takes or no memory holds, and deliveries that cannot be settled for any
//! other reason: they harm that delivery alone. Tests of a tenant at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        exports,
        fake_kafka::{FakeKafka, Mood},
        server::{EUI, Hub, PASSWORD},
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    a_nul_in_a_broker_s_words_is_settled,
    a_cluster_without_end_is_told_of,
    what_cannot_be_settled_is_given_up,
    a_few_tests_of_a_tenant_run_at_a_time,
);

const FLAGS: [&str; 6] = [
    "--outgoing-allow",
    "127.0.0.0/8,::1/128",
    "--delivery-schedule-s",
    "0",
    "--delivery-timeout-s",
    "60",
];

async fn a_nul_in_a_broker_s_words_is_settled(database: Database) {
    let broker = FakeKafka::start(Mood::Nul).await;
    let sink = Sink::willing().await;
    let (hub, connection) = Hub::with_device(database, &FLAGS).await;
    let kafka = hub.integration_to("kafka", broker.target()).await;
    hub.integration("http", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    let dead = hub.delivery_in(&kafka, "dead").await;
    let error = dead["last_error"].as_str().unwrap();
    assert!(
        error.ends_with("it knows: O\u{fffd}TH\u{fffd}ER"),
        "{error}"
    );
    let attempts = dead["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{dead}");
    assert_eq!(attempts[0]["error"], error);
    let health = hub.get(&kafka).await.ok()["health"].clone();
    assert_eq!(health["last_error"], error, "{health}");
    sink.gets(1).await;
    assert!(!hub.log().contains("settled in parts"), "{}", hub.log());
}

async fn a_cluster_without_end_is_told_of(database: Database) {
    let sink = Sink::willing().await;
    let (hub, connection) = Hub::with_device(database, &FLAGS).await;
    let mut brokers = Vec::new();
    let mut made = Vec::new();
    for (mood, words) in [
        (Mood::TooMuch, "the answer is too long"),
        (Mood::Announces, "the answer is too long"),
        // The response was read, and the hub connects to the leader.
        (Mood::Much, "127.0.0.1:1: no connection"),
    ] {
        let broker = FakeKafka::start(mood).await;
        let name = format!("{mood:?}");
        let integration = hub.integration_to(&name, broker.open_target()).await;
        brokers.push(broker);
        made.push((integration, words));
    }
    hub.integration("http", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    sink.gets(1).await;
    for (integration, words) in made {
        let dead = hub.delivery_in(&integration, "dead").await;
        let error = dead["last_error"].as_str().unwrap();
        assert!(error.contains(words), "{error}");
    }
}

async fn what_cannot_be_settled_is_given_up(database: Database) {
    let poisonous = Sink::start(&[], Cue::Json(500, "poison")).await;
    let sink = Sink::willing().await;
    let (mut hub, connection) = Hub::with_device(database, &FLAGS).await;
    hub.may_complain = true;
    hub.refuse("UPDATE ON deliveries", "NEW.last_answer = 'poison'")
        .await;
    let poisoned = hub
        .integration_to("poisoned", json!({"type": "http", "url": poisonous.url}))
        .await;
    let fine = hub.integration("fine", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    let dead = hub.delivery_in(&poisoned, "dead").await;
    let error = dead["last_error"].as_str().unwrap();
    assert!(error.contains("could not be stored"), "{error}");
    assert_eq!(dead["attempts"].as_array().unwrap().len(), 1, "{dead}");
    // Nothing of it comes again, and others are settled.
    hub.uplink(&connection, EUI).await;
    let list = format!("integrations/{fine}/deliveries?state=delivered");
    eventually("the others are settled", async || {
        (hub.list(&list).await.len() == 2).then_some(())
    })
    .await;
    let list = format!("{poisoned}/deliveries?state=dead");
    eventually("the next one is given up, too", async || {
        (hub.list(&list).await.len() == 2).then_some(())
    })
    .await;
    assert_eq!(poisonous.received().len(), 2);
    let health = hub.get(&poisoned).await.ok()["health"].clone();
    assert_eq!(health["dead"], 2, "{health}");
}

async fn a_few_tests_of_a_tenant_run_at_a_time(database: Database) {
    let sink = Sink::start(&[Cue::Wait; 4], Cue::Status(200)).await;
    let (hub, _) = Hub::with_device(database, &FLAGS).await;
    let target = json!({"type": "http", "url": sink.url});
    let own = format!("{}/test", hub.integration_to("own", target.clone()).await);
    let table = exports::table(&hub, "t", Value::Null).await;
    let sftp = json!({"type": "sftp", "host": "nowhere.invalid", "username": "u", "password": "p"});
    let export = exports::export(&hub, &table, &sftp, json!({"enabled": false})).await + "/test";
    hub.tenant("other").await;
    let others_token = hub.log_in("other", PASSWORD).await;
    let none = json!({});
    let answered = AtomicUsize::new(0);
    let waiting = join_all((0..4).map(|_| async {
        let tested = hub.post(&own, &none).await.ok();
        assert_eq!(tested["is_delivered"], true, "{tested}");
        answered.fetch_add(1, Ordering::SeqCst);
    }));
    let meanwhile = async {
        sink.gets(4).await;
        let refused = hub.post(&own, &none).await;
        assert_eq!(refused.headers["retry-after"], "1");
        let error = refused.refused(503);
        assert!(error.contains("4 tests of this tenant"), "{error}");
        let error = hub.post(&export, &none).await.refused(503);
        assert!(error.contains("4 tests of this tenant"), "{error}");
        // Other tenants have places of their own.
        let made = hub
            .request(Method::POST, "integrations")
            .bearer_auth(&others_token)
            .header("Content-Type", "application/json")
            .body(json!({"name": "others", "selector": "", "target": target}).to_string());
        let made = hub.answer(made).await.created();
        let test = hub
            .request(Method::POST, &format!("integrations/{}/test", made["id"]))
            .bearer_auth(&others_token);
        let tested = hub.answer(test).await.ok();
        assert_eq!(tested["is_delivered"], true, "{tested}");
        eventually("all are answered", async || {
            sink.go_on();
            (answered.load(Ordering::SeqCst) == 4).then_some(())
        })
        .await;
    };
    tokio::join!(waiting, meanwhile);
    // The places are free again.
    let tested = hub.post(&own, &none).await.ok();
    assert_eq!(tested["is_delivered"], true, "{tested}");
}
