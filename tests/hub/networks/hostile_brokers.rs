//! Brokers that send without end: they take neither the hub's memory nor its time.

use serde_json::{Value, json};

use crate::{
    eventually,
    networks::mqtt,
    support::{
        database::{Database, on_both_databases},
        fake_broker::{FakeBroker, Mood},
        server::{MEMORY_MAX_KIB, things_stack},
    },
};

on_both_databases!(brokers_that_send_without_end_harm_nobody);

const MOODS: [Mood; 3] = [Mood::Packets, Mood::Message, Mood::Greeting];
const EUI: &str = "AA00000000000001";

async fn brokers_that_send_without_end_harm_nobody(database: Database) {
    let hub = mqtt::hub(database).await;
    let webhook = hub.connect("tts").await;
    hub.device("mine", &webhook, EUI, json!({})).await;
    let mut brokers = Vec::new();
    let mut watched = Vec::new();
    for mood in MOODS {
        let broker = FakeBroker::start(mood).await;
        let name = format!("{mood:?}");
        let mut body = mqtt::connection(&json!({"url": broker.url}), &["t"]);
        body["name"] = json!(name);
        let source = hub.post("network-connections", &body).await.created();
        let target = json!({"type": "mqtt", "broker": {"url": broker.url}, "topic": "t"});
        let body = json!({"name": name, "selector": "", "target": target});
        let target = hub.post("integrations", &body).await.created();
        watched.push((mood, source["id"].clone(), target["id"].clone()));
        brokers.push(broker);
    }
    let receipt = hub.ingest(&webhook, things_stack(EUI)).await;
    assert_eq!(receipt.ok()["status"], "recorded");

    for (mood, source, target) in watched {
        let said: Value = eventually("the connection says why it fails", async || {
            let view = hub.get(&format!("network-connections/{source}")).await.ok();
            let subscription = view["health"]["subscription"].clone();
            // A message without end is skipped for as long as it lasts.
            let is_skipping = matches!(mood, Mood::Message) && subscription["connected"] == true;
            (is_skipping || subscription["error"] != Value::Null).then_some(subscription)
        })
        .await;
        let expected = match mood {
            Mood::Packets => "the broker sends more than 20000 packets a second",
            Mood::Greeting => "size limit exceeded",
            Mood::Message | Mood::Refusal => {
                assert_eq!(said["error"], Value::Null, "{said}");
                continue;
            }
        };
        let error = said["error"].as_str().unwrap();
        assert!(error.contains(expected), "{mood:?}: {said}");
        eventually("the delivery has failed", async || {
            let path = format!("integrations/{target}");
            let health = hub.get(&path).await.ok()["health"].clone();
            (health["failed_attempts"] != 0).then_some(())
        })
        .await;
    }
    assert!(hub.peak_kib() < MEMORY_MAX_KIB, "{} KiB", hub.peak_kib());
    hub.ingest(&webhook, things_stack(EUI)).await.ok();
}
