//! MQTT against a real broker: what integrations publish and what network connections subscribe to,
//! also when the broker or the hub dies.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        broker::{Broker, Door, is_subscribed},
        database::{Database, on_both_databases, on_postgres},
        server::{Connection, Hub},
    },
};

on_both_databases!(
    deliveries_are_published,
    a_client_certificate_lets_in_and_a_last_will_is_left,
    messages_are_recorded_and_poison_blocks_nothing,
    nothing_acknowledged_is_lost_with_the_broker,
    what_comes_while_the_hub_is_away_is_kept,
    a_change_counts_at_once,
    a_moment_off_misses_nothing,
    packets_travel_in_web_sockets,
    packets_travel_in_encrypted_web_sockets,
);

pub const EUI: &str = "AA00000000000001";
const TO_HERE: [&str; 6] = [
    "--outgoing-allow",
    "127.0.0.0/8,::1/128",
    "--delivery-schedule-s",
    "0,0,0",
    "--delivery-timeout-s",
    "5",
];

pub async fn hub(database: Database) -> Hub {
    Hub::start_with(database, &TO_HERE).await
}

pub fn message(counter: u32) -> String {
    json!({"id": EUI, "data": "00d7", "n": counter}).to_string()
}

/// A connection of the type `mqtt` to the broker.
pub fn connection(broker: &Value, topics: &[&str]) -> Value {
    json!({"name": "broker", "settings": {"type": "mqtt", "broker": broker, "topics": topics,
        "mapping": {"device_id_pointer": "/id", "payload_pointer": "/data",
            "payload_encoding": "hex", "frame_counter_pointer": "/n"}}})
}

pub async fn subscribe(hub: &Hub, broker: &Broker, topics: &[&str]) -> Connection {
    subscribe_as(hub, &broker.settings(), topics).await
}

pub async fn subscribe_as(hub: &Hub, settings: &Value, topics: &[&str]) -> Connection {
    let connection = hub.connect_as(&connection(settings, topics)).await;
    hub.device("d", &connection, EUI, json!({})).await;
    is_subscribed(hub, &connection).await;
    connection
}

/// Waits until the device's uplinks have all these frame counters, each once, and no other.
pub async fn recorded(hub: &Hub, counters: impl IntoIterator<Item = u32>) {
    let mut expected: Vec<u64> = counters.into_iter().map(u64::from).collect();
    expected.sort_unstable();
    eventually("all messages are recorded once", async || {
        let uplinks = hub.list("devices/d/uplinks?limit=1000").await;
        let mut found: Vec<u64> = uplinks
            .iter()
            .filter_map(|uplink| uplink["f_cnt"].as_u64())
            .collect();
        found.sort_unstable();
        (found == expected).then_some(())
    })
    .await;
}

/// An integration that publishes to the broker.
pub fn publishing(broker: Value) -> Value {
    json!({"name": "broker", "selector": "", "target": {"type": "mqtt", "broker": broker,
        "topic": "hub/{label:site}/{device_id}/{event}", "qos": 1}})
}

/// Waits until a delivery of the integration is in this state.
pub async fn delivered(hub: &Hub, integration: &Value, state: &str) -> Value {
    let path = format!("integrations/{}/deliveries", integration["id"]);
    eventually("the delivery is in its state", async || {
        let found = hub.list(&path).await;
        found
            .into_iter()
            .find(|delivery| delivery["state"] == state)
    })
    .await
}

async fn deliveries_are_published(database: Database) {
    let broker = Broker::start(Door::Tls).await;
    let hub = hub(database).await;
    let mut listener = broker.listen("hub/#").await;
    let body = publishing(broker.settings());
    let made = hub.post("integrations", &body).await.created();
    assert_eq!(made["target"]["broker"]["has_password"], true, "{made}");
    assert_eq!(made["target"]["broker"].get("password"), None, "{made}");
    let connection = hub.connect("tts").await;
    let labels = json!({"labels": ["site=berlin/mitte"]});
    hub.device("d", &connection, EUI, labels).await;
    hub.uplink(&connection, EUI).await;
    let (qos, retained, topic, payload) = listener.next_message().await;
    assert_eq!((qos, retained), (1, false));
    assert_eq!(topic, "hub/berlin_mitte/d/data");
    assert_eq!(payload["uplink_metadata"]["id"], "d");
    delivered(&hub, &made, "delivered").await;

    // The password stays where it is not given again.
    let mut change = publishing(broker.settings());
    change["target"]["retain"] = true.into();
    change["target"]["broker"]
        .as_object_mut()
        .unwrap()
        .remove("password");
    let path = format!("integrations/{}", made["id"]);
    hub.put(&path, &change).await.ok();
    hub.uplink(&connection, EUI).await;
    listener.next_message().await;
    let mut late = broker.listen("hub/#").await;
    assert!(late.next_message().await.1, "it is retained");
}

async fn a_client_certificate_lets_in_and_a_last_will_is_left(database: Database) {
    let broker = Broker::start(Door::Certificate).await;
    let mut hub = hub(database).await;
    let mut listener = broker.listen("hub/#").await;
    let mut settings = broker.settings();
    settings["last_will"] =
        json!({"topic": "hub/gone", "payload": "without a word", "qos": 1, "retain": true});
    let made = hub.post("integrations", &publishing(settings)).await;
    let made = made.created();
    assert_eq!(made["target"]["broker"]["has_client_key"], true, "{made}");
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    hub.uplink(&connection, EUI).await;
    assert_eq!(listener.next_message().await.2, "hub/_/d/data");
    hub.end(Signal::SIGKILL).await;
    let (qos, _, topic, payload) = listener.next().await;
    assert_eq!(
        (qos, topic.as_str(), payload.as_str()),
        (1, "hub/gone", "without a word")
    );
    let (_, is_retained, topic, _) = broker.listen("hub/#").await.next().await;
    assert_eq!((is_retained, topic.as_str()), (true, "hub/gone"));
}

async fn messages_are_recorded_and_poison_blocks_nothing(database: Database) {
    let broker = Broker::start(Door::Tls).await;
    let hub = hub(database).await;
    let connection = subscribe(&hub, &broker, &["sensors/+/up"]).await;
    broker.publish("sensors/1/up", &message(1)).await;
    broker.publish("sensors/1/up", "no JSON").await;
    broker.publish("sensors/1/up", "{}").await;
    broker.publish("sensors/2/up", &message(2)).await;
    broker.publish("other/2/up", &message(3)).await;
    broker.publish("sensors/2/up", &message(4)).await;
    recorded(&hub, [1, 2, 4]).await;
    let view = is_subscribed(&hub, &connection).await;
    // A message without a payload is of another kind.
    assert_eq!(view["health"]["malformed"], 1, "{view}");
    assert_eq!(view["health"]["other_messages"], 1, "{view}");
    let error = view["health"]["last_error"].as_str().unwrap();
    assert!(error.starts_with("body: "), "{error}");
    assert_eq!(view["settings"]["broker"].get("password"), None, "{view}");
}

async fn packets_travel_in_web_sockets(database: Database) {
    let mut broker = Broker::start_with_web_sockets(Door::Open).await;
    web_sockets_carry_both_ways(database, &mut broker).await;
}

async fn packets_travel_in_encrypted_web_sockets(database: Database) {
    let mut broker = Broker::start_with_web_sockets(Door::Tls).await;
    web_sockets_carry_both_ways(database, &mut broker).await;

    let hub = hub(Database::Sqlite).await;
    let mut settings = broker.web_settings();
    settings.as_object_mut().unwrap().remove("ca");
    let stranger = hub.connect_as(&connection(&settings, &["up"])).await;
    let path = format!("network-connections/{}", stranger.id);
    eventually("an unknown authority is refused", async || {
        let view = hub.get(&path).await.ok();
        let error = view["health"]["subscription"]["error"].as_str()?.to_owned();
        error.starts_with("TLS: ").then_some(())
    })
    .await;
}

/// Messages of devices come in, and deliveries go out.
async fn web_sockets_carry_both_ways(database: Database, broker: &mut Broker) {
    let hub = hub(database).await;
    let connection = subscribe_as(&hub, &broker.web_settings(), &["up/+"]).await;
    // Packets that share a message, packets of several, and those that came while nobody listened.
    let large = json!({"id": EUI, "data": "d7".repeat(200), "n": 10,
        "more": "x".repeat(100_000)});
    broker.publish("up/large", &large.to_string()).await;
    for counter in 0..10 {
        broker.publish("up/small", &message(counter)).await;
    }
    recorded(&hub, 0..=10).await;
    broker.end(Signal::SIGTERM).await;
    broker.start_again().await;
    broker.publish("up/small", &message(11)).await;
    recorded(&hub, 0..=11).await;
    is_subscribed(&hub, &connection).await;

    let mut listener = broker.listen("hub/#").await;
    let publishing = publishing(broker.web_settings());
    let made = hub.post("integrations", &publishing).await.created();
    broker.publish("up/small", &message(12)).await;
    assert_eq!(listener.next_message().await.2, "hub/_/d/data");
    delivered(&hub, &made, "delivered").await;
}

async fn nothing_acknowledged_is_lost_with_the_broker(database: Database) {
    let mut broker = Broker::start(Door::Open).await;
    let hub = hub(database).await;
    let connection = subscribe(&hub, &broker, &["up"]).await;
    for counter in 0..10 {
        broker.publish("up", &message(counter)).await;
    }
    recorded(&hub, 0..10).await;
    broker.end(Signal::SIGKILL).await;
    eventually("the hub notices", async || {
        let path = format!("network-connections/{}", connection.id);
        let view = hub.get(&path).await.ok();
        let subscription = &view["health"]["subscription"];
        let since = &subscription["connected_since"];
        (subscription["connected"] == false).then(|| assert_eq!(*since, Value::Null, "{view}"))
    })
    .await;
    broker.start_again().await;
    let view = is_subscribed(&hub, &connection).await;
    let since = &view["health"]["subscription"]["connected_since"];
    assert!(since.as_str() > view["updated_at"].as_str(), "{view}");
    for counter in 10..20 {
        broker.publish("up", &message(counter)).await;
    }
    recorded(&hub, 0..20).await;
}

async fn what_comes_while_the_hub_is_away_is_kept(database: Database) {
    let broker = Broker::start(Door::Open).await;
    let mut hub = hub(database).await;
    subscribe(&hub, &broker, &["up"]).await;
    let mut counter = 0;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        hub.end(signal).await;
        for _ in 0..5 {
            broker.publish("up", &message(counter)).await;
            counter += 1;
        }
        hub.start_again().await;
        recorded(&hub, 0..counter).await;
    }
}

async fn a_change_counts_at_once(database: Database) {
    let broker = Broker::start(Door::Open).await;
    let hub = hub(database).await;
    let made = subscribe(&hub, &broker, &["one", "two"]).await;
    let path = format!("network-connections/{}", made.id);
    hub.put(&path, &connection(&broker.settings(), &["two", "three"]))
        .await
        .ok();
    eventually("the new topics are subscribed to", async || {
        broker.publish("three", &message(3)).await;
        let uplinks = hub.list("devices/d/uplinks?limit=1000").await;
        (!uplinks.is_empty()).then_some(())
    })
    .await;
    broker.publish("one", &message(1)).await;
    broker.publish("two", &message(2)).await;
    recorded(&hub, [2, 3]).await;

    // Switched off for a while, the broker keeps nothing for it.
    switch_off(&hub, &broker, &made, "two").await;
    is_forgotten(&broker, 1).await;
    broker.publish("two", &message(4)).await;
    hub.put(&path, &connection(&broker.settings(), &["two"]))
        .await
        .ok();
    is_subscribed(&hub, &made).await;
    broker.publish("two", &message(5)).await;
    recorded(&hub, [2, 3, 5]).await;
    hub.delete("devices/d").await.ok();
    hub.delete(&path).await.ok();
    is_forgotten(&broker, 2).await;
}

/// Switches a connection off, and waits until the hub has left its broker.
async fn switch_off(hub: &Hub, broker: &Broker, made: &Connection, topic: &str) {
    let path = format!("network-connections/{}", made.id);
    let mut off = connection(&broker.settings(), &[topic]);
    off["enabled"] = false.into();
    hub.put(&path, &off).await.ok();
    eventually("it is no concern any more", async || {
        let view = hub.get(&path).await.ok();
        view["health"]["subscription"].is_null().then_some(())
    })
    .await;
}

/// Waits until hubs have had the broker forget them so many times: by a session that begins anew.
async fn is_forgotten(broker: &Broker, times: usize) {
    eventually("the broker forgets the hub", async || {
        let log = broker.log();
        let anew = |line: &&str| line.contains(" as thingshub") && line.contains(", c1,");
        (log.lines().filter(anew).count() == times).then_some(())
    })
    .await;
}

async fn a_moment_off_misses_nothing(database: Database) {
    let broker = Broker::start(Door::Open).await;
    let hub = hub(database).await;
    let made = subscribe(&hub, &broker, &["up"]).await;
    let path = format!("network-connections/{}", made.id);
    let on = connection(&broker.settings(), &["up"]);
    let mut off = on.clone();
    off["enabled"] = false.into();
    broker.publish("up", &message(0)).await;
    recorded(&hub, [0]).await;

    switch_off(&hub, &broker, &made, "up").await;
    for counter in 1..5 {
        broker.publish("up", &message(counter)).await;
    }
    hub.put(&path, &on).await.ok();
    recorded(&hub, 0..5).await;

    // However far each change has come when the next one is made.
    for counter in 5..15 {
        hub.put(&path, &off).await.ok();
        broker.publish("up", &message(counter)).await;
        hub.put(&path, &on).await.ok();
    }
    recorded(&hub, 0..15).await;
    is_subscribed(&hub, &made).await;
    broker.publish("up", &message(15)).await;
    recorded(&hub, 0..16).await;
    is_forgotten(&broker, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_hub_takes_over() {
    on_postgres(async |database: Database| {
        let broker = Broker::start(Door::Open).await;
        let mut one = hub(database.clone()).await;
        let mut two = hub(database).await;
        subscribe(&one, &broker, &["up"]).await;
        broker.publish("up", &message(0)).await;
        recorded(&two, 0..1).await;
        one.end(Signal::SIGKILL).await;
        for counter in 1..5 {
            broker.publish("up", &message(counter)).await;
        }
        recorded(&two, 0..5).await;

        one.start_again().await;
        two.end(Signal::SIGTERM).await;
        broker.publish("up", &message(5)).await;
        recorded(&one, 0..6).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_connected_to_is_refused() {
    let hub = Hub::start(Database::Sqlite).await;
    for (broker, names) in [
        (json!({"url": "http://b"}), "url: must start with mqtt://"),
        (json!({"url": "mqtt://u:p@b"}), "url: must not hold"),
        (json!({"url": "mqtt://b", "alpn": "x"}), "alpn: needs a URL"),
        (json!({"url": "mqtts://b", "ca": "x"}), "ca: must be"),
        (
            json!({"url": "mqtt://b", "password": "p"}),
            "username: belongs to password",
        ),
        (
            json!({"url": "mqtt://b", "keep_alive_s": 1}),
            "keep_alive_s: must be an integer from 5 to 3600",
        ),
        (
            json!({"url": "mqtt://b", "last_will": {"topic": "a/#"}}),
            "last_will.topic: must have",
        ),
        (
            json!({"url": "mqtts://b", "client_id": "d", "shared_access_key": "?"}),
            "shared_access_key: must be base64",
        ),
    ] {
        let refused = hub.post("integrations", &publishing(broker.clone())).await;
        let text = refused.refused(400);
        let expected = format!("target.broker.{names}");
        assert!(text.starts_with(&expected), "{broker}: {text}");
        let refused = hub
            .post("network-connections", &connection(&broker, &["a"]))
            .await;
        let text = refused.refused(400);
        let expected = format!("settings.broker.{names}");
        assert!(text.starts_with(&expected), "{broker}: {text}");
    }
    for (topics, names) in [
        (json!([]), "settings.topics: must have 1 to 32 items"),
        (json!(["a#"]), "settings.topics[0]: must have + only"),
    ] {
        let mut body = connection(&json!({"url": "mqtt://b"}), &[]);
        body["settings"]["topics"] = topics;
        let text = hub.post("network-connections", &body).await.refused(400);
        assert!(text.starts_with(names), "{text}");
    }
    let mut body = publishing(json!({"url": "mqtt://b"}));
    body["target"]["topic"] = "a/{nothing}".into();
    let text = hub.post("integrations", &body).await.refused(400);
    assert!(
        text.starts_with("target.topic: must have no braces"),
        "{text}"
    );
}
