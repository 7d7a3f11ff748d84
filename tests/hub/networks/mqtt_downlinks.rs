//! Networks that are spoken to through a real broker, both ways: what they publish of devices, and the
//! downlinks that are published for them, moved by the networks' reports.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    eventually, sample_json,
    support::{
        broker::{Broker, Door, is_subscribed},
        database::{Database, on_both_databases},
        network_server::to_nowhere,
        server::{Connection, Hub},
    },
};

on_both_databases!(
    the_things_stack_speaks_by_its_broker,
    chirpstack_speaks_by_its_broker,
    news_that_are_quicker_than_the_note_count,
    any_broker_gets_what_the_template_says,
    what_a_broker_that_is_away_does_not_take_goes_out_once_when_it_is_back,
    a_broker_that_is_away_is_tried_again_soon,
    what_cannot_be_published_is_told,
);

/// The device of the samples of The Things Stack.
const TTS_EUI: &str = "0004A30B001C0530";
/// The application with its tenant: the user at the broker of The Things Stack.
const APPLICATION: &str = "app1@ttn";
const FLAGS: [&str; 4] = [
    "--outgoing-allow",
    "127.0.0.0/8,::1/128",
    "--downlink-schedule-s",
    "0,0,0",
];

async fn hub(database: Database) -> Hub {
    Hub::start_with(database, &FLAGS).await
}

/// A connection that is subscribed, with the device `d` behind it.
async fn subscribed(hub: &Hub, settings: Value, network_device_id: &str) -> Connection {
    let connection = hub
        .connect_as(&json!({"name": "broker", "settings": settings}))
        .await;
    hub.device("d", &connection, network_device_id, json!({}))
        .await;
    is_subscribed(hub, &connection).await;
    connection
}

fn the_things_stack(broker: &Broker) -> Value {
    let mut settings = broker.settings();
    settings["username"] = APPLICATION.into();
    json!({"type": "the_things_stack_mqtt", "broker": settings})
}

fn generic(broker: &Broker) -> Value {
    json!({"type": "mqtt", "broker": broker.settings(), "topics": ["up/#"],
        "mapping": {"device_id_pointer": "/id", "payload_pointer": "/data",
            "payload_encoding": "hex"}})
}

async fn queue(hub: &Hub, more: Value) -> Value {
    let mut body = json!({"payload_hex": "beef", "f_port": 15});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    hub.post("devices/d/downlinks", &body).await.created()
}

/// The only event of the kind, once it is there.
async fn told(hub: &Hub, kind: &str) -> Value {
    let path = format!("devices/d/events?kind={kind}");
    eventually("the event is there", async || hub.list(&path).await.pop()).await
}

/// Waits until the device has an uplink; answers it.
async fn heard(hub: &Hub) -> Value {
    eventually("the uplink is recorded", async || {
        hub.list("devices/d/uplinks").await.pop()
    })
    .await
}

async fn the_things_stack_speaks_by_its_broker(database: Database) {
    let broker = Broker::start(Door::Open).await;
    let hub = hub(database).await;
    let connection = subscribed(&hub, the_things_stack(&broker), TTS_EUI).await;
    let topic = |news: &str| format!("v3/{APPLICATION}/devices/dev1/{news}");
    let say = async |news: &str, message: &Value| {
        broker.publish(&topic(news), &message.to_string()).await;
    };

    // Before the first uplink nobody knows what the stack calls the device.
    let early = queue(&hub, json!({"expires_in_s": 3600})).await;
    let path = format!("devices/d/downlinks/{}", early["id"].as_str().unwrap());
    let waiting = eventually("the downlink tells why it waits", async || {
        let found = hub.get(&path).await.ok();
        found["last_error"].is_string().then_some(found)
    })
    .await;
    let error = waiting["last_error"].as_str().unwrap();
    assert!(error.contains("before its first uplink"), "{error}");
    assert_eq!(waiting["state"], "queued");
    hub.delete(&path).await.ok();

    say("join", &sample_json("ttn_v3_join.json")).await;
    let joined = told(&hub, "join").await;
    assert_eq!(joined["details"]["dev_addr"], "01497ECC");
    say("up", &sample_json("ttn_v3.json")).await;
    let uplink = heard(&hub).await;
    assert_eq!(uplink["radio"]["network"]["device"], "dev1");

    // No settings for downlinks: the broker of the uplinks takes them.
    let mut listener = broker.listen(&topic("down/push")).await;
    let confirmed = json!({"confirmed": true, "priority": "high"});
    let first = queue(&hub, confirmed.clone()).await;
    let (qos, retained, _, payload) = listener.next().await;
    assert_eq!((qos, retained), (1, false));
    let correlation = |queued: &Value| {
        let id = queued["id"].as_str().unwrap();
        json!(["as:downlink:01E19B", format!("thingshub:downlink:{id}")])
    };
    let item = json!({"frm_payload": "vu8=", "f_port": 15, "confirmed": true,
        "priority": "HIGH", "correlation_ids": [correlation(&first)[1]]});
    let payload: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(payload, json!({"downlinks": [item]}));
    hub.downlink_gets(&first, "sent").await;

    let mut over_the_air = sample_json("ttn_v3_downlink_ack.json");
    let mut echo = over_the_air.as_object_mut().unwrap().remove("downlink_ack");
    echo.as_mut().unwrap()["correlation_ids"] = correlation(&first);
    over_the_air["downlink_sent"] = echo.unwrap();
    say("down/sent", &over_the_air).await;
    let sent = eventually("it went over the air", async || {
        let found = hub.downlink_gets(&first, "sent").await;
        found["transmitted_at"].is_string().then_some(found)
    })
    .await;
    assert_eq!(sent["f_cnt_down"], 1, "{sent}");
    let mut ack = sample_json("ttn_v3_downlink_ack.json");
    ack["downlink_ack"]["correlation_ids"] = correlation(&first);
    say("down/ack", &ack).await;
    hub.downlink_gets(&first, "acknowledged").await;

    let second = queue(&hub, confirmed.clone()).await;
    hub.downlink_gets(&second, "sent").await;
    let mut nack = ack.as_object().unwrap().clone();
    let mut echo = nack.remove("downlink_ack").unwrap();
    echo["correlation_ids"] = correlation(&second);
    nack.insert("downlink_nack".to_owned(), echo);
    say("down/nack", &nack.into()).await;
    told(&hub, "downlink_not_acknowledged").await;
    let waiting = hub.downlink_gets(&second, "sent").await;
    assert_eq!(waiting["last_error"], "the device has not confirmed it yet");
    // The stack sends it again.
    ack["downlink_ack"]["correlation_ids"] = correlation(&second);
    say("down/ack", &ack).await;
    hub.downlink_gets(&second, "acknowledged").await;

    let third = queue(&hub, confirmed).await;
    hub.downlink_gets(&third, "sent").await;
    // This one names no DevEUI: the hub's own id of the downlink shows its device.
    let mut message = sample_json("ttn_v3_downlink_failed.json");
    message["downlink_failed"]["downlink"]["correlation_ids"] = correlation(&third);
    say("down/failed", &message).await;
    let failed = hub.downlink_gets(&third, "failed").await;
    let error = failed["last_error"].as_str().unwrap();
    assert_eq!(error, "application downlink payload is too long");

    let view = is_subscribed(&hub, &connection).await;
    assert_eq!(view["health"]["malformed"], 0, "{view}");
}

async fn chirpstack_speaks_by_its_broker(database: Database) {
    const APPLICATION: &str = "17c82e96-be03-4f38-aef3-f83d48582d97";
    const DEVICE: &str = "0101010101010101";
    let broker = Broker::start(Door::Certificate).await;
    let hub = hub(database).await;
    let settings = json!({"type": "chirpstack_mqtt", "broker": broker.settings()});
    let connection = subscribed(&hub, settings, DEVICE).await;
    let topic = |rest: &str| format!("application/{APPLICATION}/device/{DEVICE}/{rest}");
    let say = async |news: &str, message: &Value| {
        let topic = topic(&format!("event/{news}"));
        broker.publish(&topic, &message.to_string()).await;
    };
    say("join", &sample_json("chirpstack_v4_join.json")).await;
    let joined = told(&hub, "join").await;
    assert_eq!(joined["details"]["dev_addr"], "00189440");
    say("status", &sample_json("chirpstack_v4_status.json")).await;
    told(&hub, "status").await;
    say("up", &sample_json("chirpstack_v4.json")).await;
    assert_eq!(heard(&hub).await["f_port"], 1);

    let mut listener = broker.listen(&topic("command/down")).await;
    let confirmed = json!({"confirmed": true});
    let first = queue(&hub, confirmed.clone()).await;
    let (qos, retained, _, payload) = listener.next().await;
    assert_eq!((qos, retained), (1, false));
    let payload: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(
        payload,
        json!({"id": first["id"], "devEui": DEVICE, "confirmed": true, "fPort": 15,
            "data": "vu8="})
    );
    let sent = hub.downlink_gets(&first, "sent").await;
    assert_eq!(sent["network_reference"], first["id"]);
    let second = queue(&hub, confirmed.clone()).await;
    hub.downlink_gets(&second, "sent").await;

    let about = |name: &str, queued: &Value| {
        let mut message = sample_json(name);
        message["queueItemId"] = queued["id"].clone();
        message
    };
    say("txack", &about("chirpstack_v4_txack.json", &second)).await;
    eventually("the second one went over the air", async || {
        let found = hub.downlink_gets(&second, "sent").await;
        found["transmitted_at"].is_string().then_some(())
    })
    .await;
    say("ack", &about("chirpstack_v4_ack.json", &second)).await;
    hub.downlink_gets(&second, "acknowledged").await;
    // Members that are false are left out.
    let mut nack = about("chirpstack_v4_ack.json", &first);
    nack.as_object_mut().unwrap().remove("acknowledged");
    say("ack", &nack).await;
    let failed = hub.downlink_gets(&first, "failed").await;
    assert_eq!(failed["transmitted_at"], Value::Null);

    let third = queue(&hub, confirmed).await;
    hub.downlink_gets(&third, "sent").await;
    let mut log = sample_json("chirpstack_v4_log.json");
    log["description"] = "Item is too long".into();
    log["context"] = json!({"queue_item_id": third["id"]});
    say("log", &log).await;
    let failed = hub.downlink_gets(&third, "failed").await;
    assert_eq!(failed["last_error"], "Item is too long");
    let view = is_subscribed(&hub, &connection).await;
    assert_eq!(view["health"]["malformed"], 0, "{view}");
}

/// ChirpStack may report a downlink before the hub has noted that the broker took it, which a hub that
/// died in between has never done: the downlink is known by its own id, and is not sent again.
async fn news_that_are_quicker_than_the_note_count(database: Database) {
    let mut broker = Broker::start(Door::Open).await;
    let hub = hub(database).await;
    let settings = json!({"type": "chirpstack_mqtt", "broker": broker.settings(),
        "application_id": "17c82e96-be03-4f38-aef3-f83d48582d97"});
    let connection = subscribed(&hub, settings, "0101010101010101").await;
    let mut listener = broker.listen_lastingly("application/#").await;
    broker.end(Signal::SIGTERM).await;
    let queued = queue(&hub, json!({"confirmed": true})).await;
    let path = format!("devices/d/downlinks/{}", queued["id"].as_str().unwrap());
    eventually("it has been tried", async || {
        let found = hub.get(&path).await.ok();
        (found["state"] == "queued" && found["attempts"] != 0).then_some(())
    })
    .await;
    let mut ack = sample_json("chirpstack_v4_ack.json");
    ack["queueItemId"] = queued["id"].clone();
    // Its other integration can still reach the hub.
    let path = format!("network-connections/{}/uplinks?event=ack", connection.id);
    let request = hub.request(reqwest::Method::POST, &path);
    let request = request
        .bearer_auth(&connection.key)
        .header("Content-Type", "application/json")
        .body(ack.to_string());
    hub.answer(request).await.ok();
    hub.downlink_gets(&queued, "acknowledged").await;
    broker.start_again().await;
    let next = queue(&hub, json!({})).await;
    let (_, _, topic, payload) = listener.next().await;
    assert!(topic.ends_with("command/down"), "{topic}");
    assert!(payload.contains(next["id"].as_str().unwrap()), "{payload}");
}

async fn any_broker_gets_what_the_template_says(database: Database) {
    let broker = Broker::start(Door::Tls).await;
    let hub = hub(database).await;
    let connection = subscribed(&hub, generic(&broker), "pump-7").await;
    let body = json!({"payload_hex": "beef"});
    let refused = hub.post("devices/d/downlinks", &body).await.refused(400);
    assert!(refused.contains("it has no downlink-settings"), "{refused}");

    let mut settings = json!({"type": "mqtt", "topic": "down/{{network_device_id}}/{{f_port}}",
        "payload": r#"{"id": "{{downlink_id}}", "data": "{{payload_base64}}"}"#,
        "qos": 2, "retain": true});
    let set = hub.sends_downlinks(&connection, &settings).await;
    assert_eq!(set["settings"], settings);
    let mut listener = broker.listen("down/#").await;
    let queued = queue(&hub, json!({})).await;
    let (qos, _, topic, payload) = listener.next().await;
    assert_eq!((qos, topic.as_str()), (2, "down/pump-7/15"));
    let payload: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(payload, json!({"id": queued["id"], "data": "vu8="}));
    hub.downlink_gets(&queued, "sent").await;
    let mut late = broker.listen("down/#").await;
    assert!(late.next().await.1, "it is retained");

    // The bytes themselves go out where there is no template.
    settings = json!({"type": "mqtt", "topic": "bytes"});
    let set = hub.sends_downlinks(&connection, &settings).await;
    assert_eq!(set["settings"]["qos"], 1, "{set}");
    let mut listener = broker.listen("bytes").await;
    let queued = queue(&hub, json!({"payload_hex": hex("on 1")})).await;
    let (qos, retained, _, payload) = listener.next().await;
    assert_eq!((qos, retained, payload.as_str()), (1, false, "on 1"));
    hub.downlink_gets(&queued, "sent").await;
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

async fn what_a_broker_that_is_away_does_not_take_goes_out_once_when_it_is_back(
    database: Database,
) {
    let mut broker = Broker::start(Door::Password).await;
    let hub = hub(database).await;
    let connection = subscribed(&hub, generic(&broker), "pump").await;
    let settings = json!({"type": "mqtt", "topic": "down", "payload": "{{payload_hex}}"});
    hub.sends_downlinks(&connection, &settings).await;
    let mut listener = broker.listen_lastingly("down").await;
    let before = queue(&hub, json!({"payload_hex": "01"})).await;
    hub.downlink_gets(&before, "sent").await;
    assert_eq!(listener.next().await.3, "01");

    broker.end(Signal::SIGTERM).await;
    let away = queue(&hub, json!({"payload_hex": "02"})).await;
    let short = queue(&hub, json!({"payload_hex": "03", "expires_in_s": 1})).await;
    let path = format!("devices/d/downlinks/{}", away["id"].as_str().unwrap());
    // More attempts than the schedule has: it does not give up.
    let waiting = eventually("it is tried again", async || {
        let found = hub.get(&path).await.ok();
        (found["attempts"].as_i64().unwrap() > 4).then_some(found)
    })
    .await;
    assert_eq!(waiting["state"], "queued", "{waiting}");
    let error = waiting["last_error"].as_str().unwrap();
    assert!(error.contains("refused"), "{error}");
    hub.downlink_gets(&short, "expired").await;

    broker.start_again().await;
    let sent = hub.downlink_gets(&away, "sent").await;
    assert_eq!(sent["last_error"], Value::Null);
    let after = queue(&hub, json!({"payload_hex": "04"})).await;
    hub.downlink_gets(&after, "sent").await;
    for payload in ["02", "04"] {
        assert_eq!(listener.next().await.3, payload);
    }
}

async fn a_broker_that_is_away_is_tried_again_soon(database: Database) {
    let flags = [&FLAGS[..3], &["3600"]].concat();
    let hub = Hub::start_with(database, &flags).await;
    let mut broker = Broker::start(Door::Open).await;
    let connection = subscribed(&hub, generic(&broker), "AA00000000000001").await;
    let topic = json!({"type": "mqtt", "topic": "down", "payload": "{{payload_hex}}"});
    hub.sends_downlinks(&connection, &topic).await;
    broker.end(Signal::SIGTERM).await;
    let queued = queue(&hub, json!({})).await;
    let path = format!("devices/d/downlinks/{}", queued["id"].as_str().unwrap());
    let waiting = eventually("the attempt has failed", async || {
        let found = hub.get(&path).await.ok();
        (found["last_error"].is_string() && found["next_attempt_at"].is_string()).then_some(found)
    })
    .await;
    let time = |name: &str| -> chrono::DateTime<chrono::Utc> {
        waiting[name].as_str().unwrap().parse().unwrap()
    };
    let waits = (time("next_attempt_at") - time("updated_at")).num_seconds();
    assert!((0..=30).contains(&waits), "{waiting}");
}

async fn what_cannot_be_published_is_told(database: Database) {
    let broker = Broker::start(Door::Password).await;
    let hub = hub(database).await;
    let connection = subscribed(&hub, generic(&broker), "plant/pump").await;
    let path = format!("network-connections/{}/downlink-settings", connection.id);
    for (settings, rule) in [
        (json!({"type": "mqtt"}), "topic"),
        (json!({"type": "mqtt", "topic": "down/#"}), "wildcards"),
        (
            json!({"type": "mqtt", "topic": "down/{{eui}}"}),
            "settings.topic: the placeholder {{eui}} is unknown",
        ),
        (
            json!({"type": "mqtt", "topic": "down", "payload": "{{eui}}"}),
            "settings.payload: the placeholder {{eui}} is unknown",
        ),
        (
            json!({"type": "mqtt", "topic": "down", "qos": 3}),
            "qos: must be an integer from 0 to 2",
        ),
    ] {
        let body = json!({"settings": settings});
        let text = hub.put(&path, &body).await.refused(400);
        assert!(text.contains(rule), "{settings}: {text}");
    }
    let settings = json!({"type": "mqtt", "topic": "down/{{network_device_id}}"});
    let webhook = hub.connect("webhook").await;
    let path = format!("network-connections/{}/downlink-settings", webhook.id);
    let body = json!({"settings": settings});
    let text = hub.put(&path, &body).await.refused(400);
    assert!(text.starts_with("settings.type: mqtt requires"), "{text}");

    let says_why = async |why: &str| {
        let queued = queue(&hub, json!({})).await;
        let path = format!("devices/d/downlinks/{}", queued["id"].as_str().unwrap());
        eventually("the downlink tells why it waits", async || {
            let found = hub.get(&path).await.ok();
            let error = found["last_error"].as_str()?;
            (found["state"] == "queued" && error.contains(why)).then_some(())
        })
        .await;
        hub.delete(&path).await.ok();
    };
    hub.sends_downlinks(&connection, &settings).await;
    says_why("{{network_device_id}} cannot be part of a topic").await;
    // A connection that has lost its broker, and got one back with a wrong password.
    let settings = json!({"type": "mqtt", "topic": "down"});
    hub.sends_downlinks(&connection, &settings).await;
    let change = async |settings: Value| {
        let path = format!("network-connections/{}", connection.id);
        let body = json!({"name": "broker", "settings": settings});
        hub.put(&path, &body).await.ok();
    };
    change(
        json!({"type": "http", "mapping": { "device_id_pointer": "/id", "payload_pointer": "/data",
        "payload_encoding": "hex"}}),
    )
    .await;
    says_why("has no broker any more").await;
    let mut wrong = generic(&broker);
    wrong["broker"]["password"] = "wrong".into();
    change(wrong).await;
    says_why("the broker").await;
    // Settings that somebody has made go before what the type would do by itself.
    change(the_things_stack(&broker)).await;
    hub.sends_downlinks(&connection, &to_nowhere()).await;
    let queued = queue(&hub, json!({})).await;
    hub.downlink_gets(&queued, "failed").await;
}
