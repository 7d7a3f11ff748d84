//! Messages of network servers other than uplinks: the status of downlinks, and every other kind.

use serde_json::{Value, json};

use crate::{
    eventually, sample_json,
    support::{
        database::{Database, on_both_databases},
        network_server::NetworkServer,
        server::{Connection, Hub},
        sink::Sink,
    },
};

on_both_databases!(
    an_uplink_confirms_a_downlink,
    what_sigfox_could_not_send_fails,
    loriot_numbers_its_downlinks,
    kerlink_names_the_downlink_and_no_device,
    what_is_not_understood_is_kept,
    an_unknown_kind_is_no_error,
    each_kind_of_message_has_its_event,
    an_uplink_may_tell_where_the_device_is,
);

const TO_HERE: [&str; 2] = ["--outgoing-allow", "127.0.0.0/8"];

/// A connection of this type with the device `d` behind it, whose downlinks a server takes.
async fn connect(hub: &Hub, kind: &str, address: &str) -> (Connection, NetworkServer) {
    let body = json!({"name": kind, "settings": {"type": kind}});
    let connection = hub.connect_as(&body).await;
    hub.device("d", &connection, address, json!({})).await;
    let server = NetworkServer::start(vec![]).await;
    let settings = json!({"type": "http", "method": "POST", "url": server.url});
    hub.sends_downlinks(&connection, &settings).await;
    (connection, server)
}

/// A downlink that the network server has taken.
async fn send(hub: &Hub, confirmed: bool) -> Value {
    let body = json!({"payload_hex": "0102030405060708", "confirmed": confirmed});
    let queued = hub.post("devices/d/downlinks", &body).await.created();
    hub.downlink_gets(&queued, "sent").await;
    queued
}

async fn tell(hub: &Hub, connection: &Connection, message: &Value, status: &str) {
    let receipt = hub.ingest(connection, message.to_string()).await.ok();
    assert_eq!(receipt["status"], status, "{message}");
}

async fn an_uplink_confirms_a_downlink(database: Database) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    for (kind, address, name, place, [flag, counter]) in [
        (
            "loriot",
            "1000000000000001",
            "loriot.json",
            "",
            ["ack", "fcnt"],
        ),
        (
            "actility",
            "0018B20000000B20",
            "actility_thingpark.json",
            "/DevEUI_uplink",
            ["ACKbit", "FCntUp"],
        ),
    ] {
        let (connection, _server) = connect(&hub, kind, address).await;
        let mut uplink = sample_json(name);
        // A message that confirms nothing moves nothing.
        let unconfirmed = send(&hub, false).await;
        let first = send(&hub, true).await;
        let second = send(&hub, true).await;
        tell(&hub, &connection, &uplink, "recorded").await;
        uplink.pointer_mut(place).unwrap()[flag] = json!(1);
        // A copy of the uplink confirms nothing.
        tell(&hub, &connection, &uplink, "duplicate").await;
        hub.downlink_gets(&first, "sent").await;
        uplink.pointer_mut(place).unwrap()[counter] = json!(4000);
        tell(&hub, &connection, &uplink, "recorded").await;
        hub.downlink_gets(&first, "acknowledged").await;
        for other in [&second, &unconfirmed] {
            hub.downlink_gets(other, "sent").await;
        }
        let path = "devices/d/events?kind=downlink_acknowledged";
        let events = hub.list(path).await;
        assert_eq!(events.len(), 1, "{kind}");
        assert_eq!(events[0]["details"]["network_device_id"], address);
        hub.delete("devices/d").await.ok();
    }
}

async fn what_sigfox_could_not_send_fails(database: Database) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    let (connection, _server) = connect(&hub, "sigfox", "1A2345").await;
    let callback = async |code: u64, emitted: bool| {
        let message = json!({"device": "1A2345", "infoCode": code, "downlinkAck": emitted});
        tell(&hub, &connection, &message, "other").await;
    };
    let first = send(&hub, false).await;
    // Another request of the device was not answered.
    callback(1, false).await;
    hub.downlink_gets(&first, "sent").await;
    // A base station has sent it; nobody knows whether the device received it.
    callback(0, true).await;
    let emitted = hub.downlink_gets(&first, "sent").await;
    assert!(emitted["transmitted_at"].is_string(), "{emitted}");
    let second = send(&hub, false).await;
    callback(4, false).await;
    let failed = hub.downlink_gets(&second, "failed").await;
    assert_eq!(failed["last_error"], "Sigfox could not send the downlink");
    hub.downlink_gets(&first, "sent").await;
}

async fn loriot_numbers_its_downlinks(database: Database) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    let address = "1000000000000001";
    let (connection, _server) = connect(&hub, "loriot", address).await;
    let first = send(&hub, false).await;
    let second = send(&hub, false).await;
    let third = send(&hub, false).await;
    for number in [8, 9] {
        let message = json!({"cmd": "txd", "EUI": address, "seqdn": number});
        tell(&hub, &connection, &message, "other").await;
    }
    for sent in [&first, &second] {
        let sent = hub.downlink_gets(sent, "sent").await;
        assert!(sent["transmitted_at"].is_string(), "{sent}");
    }
    let message = json!({"cmd": "txd", "EUI": address, "seqdn": 10, "error": "no gateway"});
    tell(&hub, &connection, &message, "other").await;
    let failed = hub.downlink_gets(&third, "failed").await;
    assert_eq!(failed["last_error"], "no gateway");
}

async fn kerlink_names_the_downlink_and_no_device(database: Database) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    let (connection, _server) = connect(&hub, "kerlink", "343737394A336F09").await;
    let first = send(&hub, true).await;
    hub.sql("UPDATE downlinks SET network_reference = '5d23'")
        .await;
    let message = |id: &str| {
        json!({"dataDownId": id, "event": "TRANSMISSION", "status": "OK", "clusterId": 1,
            "nbAttempts": 1, "multicast": false})
    };
    tell(&hub, &connection, &message("5d23"), "other").await;
    let sent = hub.downlink_gets(&first, "sent").await;
    assert!(sent["transmitted_at"].is_string(), "{sent}");
    let path = format!("network-connections/{}/events", connection.id);
    let before = hub.list(&path).await.len();
    tell(&hub, &connection, &message("ffff"), "other").await;
    assert_eq!(hub.list(&path).await.len(), before + 1);
    let older = json!({"devEui": "343737394a336f09", "userdata": {"payload": "AQ==", "fport": 2},
        "msgId": 17});
    tell(&hub, &connection, &older, "recorded").await;
    tell(&hub, &connection, &older, "duplicate").await;
    let down = json!({"endDevice": {"devEui": "343737394a336f09"}, "payload": "01",
        "fPort": 2, "fCntDown": 4});
    tell(&hub, &connection, &down, "other").await;
}

async fn what_is_not_understood_is_kept(database: Database) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    let (connection, _server) = connect(&hub, "everynet", "0018B20000000001").await;
    let message = |more: Value| {
        json!({"type": "brand_new", "meta": {"device": "0018b20000000001"},
            "params": {"more": more, "api_key": "s3cr3t"}})
    };
    tell(&hub, &connection, &message("a\0b".into()), "other").await;
    let path = "devices/d/events?kind=message";
    let details = hub.list(path).await.remove(0)["details"].clone();
    assert_eq!(details["kind"], "brand_new");
    let mut kept = message("ab".into());
    kept["params"]["api_key"] = "(withheld)".into();
    assert_eq!(details["body"], kept);
    tell(
        &hub,
        &connection,
        &message("ü".repeat(5000).into()),
        "other",
    )
    .await;
    let events = hub.list(path).await;
    let long = events
        .iter()
        .find(|event| event["details"]["truncated"] == true);
    let start = long.unwrap()["details"]["body"].as_str().unwrap();
    assert!((4090..=4096).contains(&start.len()), "{}", start.len());
}

async fn an_unknown_kind_is_no_error(database: Database) {
    let hub = Hub::start(database).await;
    for (kind, message, told) in [
        ("the_things_stack", json!({"new_kind": "text"}), "new_kind"),
        ("chirpstack", json!({"deviceInfo": {}}), "unnamed"),
        ("actility", json!({"Something_new": {}}), "Something_new"),
        ("loriot", json!({"EUI": "?"}), "unnamed"),
        ("kerlink", json!({"type": "new"}), "new"),
        ("sigfox", json!({"lqi": "Good"}), "callback"),
        (
            "everynet",
            json!({"type": "new", "meta": {"device": ""}}),
            "new",
        ),
        ("helium", json!({"type": "test"}), "test"),
    ] {
        let body = json!({"name": kind, "settings": {"type": kind}});
        let connection = hub.connect_as(&body).await;
        tell(&hub, &connection, &message, "other").await;
        let path = format!("network-connections/{}", connection.id);
        let events = hub.list(&format!("{path}/events?kind=message")).await;
        assert_eq!(events.len(), 1, "{kind}");
        let details = &events[0]["details"];
        assert_eq!(
            (
                &details["kind"],
                &details["body"],
                &details["network_device_id"]
            ),
            (&json!(told), &message, &Value::Null),
            "{kind}"
        );
        let health = hub.get(&path).await.ok()["health"].clone();
        assert_eq!(health["malformed"], 0, "{kind}");
        // A body that is not even an object is nobody's message.
        let answer = hub.ingest(&connection, "[]").await;
        answer.refused(400);
    }
}

async fn an_uplink_may_tell_where_the_device_is(database: Database) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    let (connection, _server) = connect(&hub, "sigfox", "1A2345").await;
    let message = json!({"device": "1A2345", "data": "01", "seqNumber": 7,
        "computedLocation": {"lat": 43.45, "lng": 1.54, "radius": 500}});
    tell(&hub, &connection, &message, "recorded").await;
    tell(&hub, &connection, &message, "duplicate").await;
    let events = hub.list("devices/d/events?kind=location").await;
    assert_eq!(events.len(), 1);
    let place = &events[0]["details"];
    assert_eq!(
        (&place["latitude"], &place["longitude"]),
        (&json!(43.45), &json!(1.54))
    );
    assert_eq!(
        (&place["accuracy_m"], place.get("altitude_m")),
        (&json!(500.0), None)
    );
}

async fn each_kind_of_message_has_its_event(database: Database) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    // A reported event goes out as well, in the form that the document describes.
    let sink = Sink::willing().await;
    let events = ["join", "downlink", "status", "location", "error"];
    let body = json!({"name": "erp", "selector": "", "events": events,
        "target": {"type": "http", "url": sink.url}});
    let forwarding = hub.post("integrations", &body).await.created()["id"].clone();
    let mut forwarded = 0;
    for (network, address, messages) in kinds_of_messages() {
        let (connection, _server) = connect(&hub, network, address).await;
        let is_forwarded = |kind: &&str| !["message", "network_log"].contains(kind);
        let kinds = messages.iter().map(|(_, kind, _)| *kind);
        forwarded += kinds.filter(is_forwarded).count();
        for (message, kind, detail) in messages {
            tell(&hub, &connection, &message, "other").await;
            let events = hub.list("devices/d/events").await;
            let event = &events[0];
            assert_eq!(event["kind"], kind, "{network}: {message}");
            for (name, value) in detail.as_object().unwrap() {
                assert_eq!(&event["details"][name], value, "{network}: {event}");
            }
        }
        let path = format!("network-connections/{}", connection.id);
        let health = hub.get(&path).await.ok()["health"].clone();
        assert_eq!(health["malformed"], 0, "{network}");
        eventually("all is forwarded", async || {
            let path = format!("integrations/{forwarding}/health");
            (hub.get(&path).await.ok()["pending"] == 0).then_some(())
        })
        .await;
        hub.delete("devices/d").await.ok();
    }
    assert_eq!(sink.received().len(), forwarded);
}

/// A network server, the device, and its messages, each with the kind and the content of its event.
type Told = (
    &'static str,
    &'static str,
    Vec<(Value, &'static str, Value)>,
);

fn kinds_of_messages() -> Vec<Told> {
    vec![
        ("actility", "0018B20000000B20", of_thingpark()),
        ("loriot", "1000000000000001", of_loriot()),
        ("everynet", "0018B20000000001", of_everynet()),
        ("helium", "1C29FBD1D2084E21", of_helium()),
        ("kerlink", "343737394A336F09", of_kerlink()),
    ]
}

fn of_thingpark() -> Vec<(Value, &'static str, Value)> {
    let device = "0018B20000000B20";
    let about = |kind: &str, mut document: Value| {
        document["DevEUI"] = device.into();
        json!({kind: document})
    };
    let with_device = |name: &str| {
        let mut message = sample_json(name);
        let document = message
            .as_object_mut()
            .unwrap()
            .values_mut()
            .next()
            .unwrap();
        document["DevEUI"] = device.into();
        message
    };
    let failed = json!({"DeliveryStatus": "0", "DeliveryFailedCause1": "B0"});
    let status = json!({"Type": "devstatusans", "Var1": "0", "Var2": "5"});
    vec![
        (
            with_device("actility_thingpark_join.json"),
            "join",
            json!({}),
        ),
        (
            about("DevEUI_notification", json!({"Type": "join"})),
            "join",
            json!({}),
        ),
        (
            about("DevEUI_notification", status),
            "status",
            json!({"external_power": true, "margin_db": 5.0}),
        ),
        (
            about("DevEUI_downlink_Sent", json!({"FCntDn": 3})),
            "downlink_sent",
            json!({"f_cnt_down": 3}),
        ),
        (
            about("DevEUI_downlink_Sent", failed),
            "downlink_failed",
            json!({}),
        ),
        (
            about("DevEUI_downlink_Rejected", json!({})),
            "downlink_failed",
            json!({}),
        ),
        (
            with_device("actility_location.json"),
            "location",
            json!({"latitude": 51.907_218}),
        ),
        (
            about("DevEUI_new", json!({"a": 1})),
            "message",
            json!({"kind": "DevEUI_new"}),
        ),
    ]
}

fn of_loriot() -> Vec<(Value, &'static str, Value)> {
    let about = |kind: &str, error: Value| json!({"cmd": kind, "EUI": "1000000000000001", "seqdn": 8, "error": error});
    let number = json!({"network_reference": "8"});
    vec![
        (about("tx", Value::Null), "downlink_queued", number.clone()),
        (about("txd", Value::Null), "downlink_sent", number.clone()),
        (about("txd", "no gateway".into()), "downlink_failed", number),
        (about("new", Value::Null), "message", json!({"kind": "new"})),
    ]
}

fn of_everynet() -> Vec<(Value, &'static str, Value)> {
    let about = |kind: &str, params: Value| {
        let meta = json!({"device": "0018b20000000001", "device_addr": "02711f49"});
        json!({"type": kind, "meta": meta, "params": params})
    };
    let joined = || json!({"dev_addr": "02711f49"});
    let words = || json!({"code": "mic", "message": "MIC mismatch"});
    let code = || json!({"code": "mic"});
    vec![
        (about("join_request", json!({})), "join", joined()),
        (about("join_response", json!({})), "join", joined()),
        (
            about("status_response", json!({"battery": 254, "margin": -3})),
            "status",
            json!({"battery_percent": 100.0, "margin_db": -3.0}),
        ),
        (
            about("downlink", json!({"counter_down": 3})),
            "downlink_sent",
            json!({"f_cnt_down": 3}),
        ),
        (
            about("location", json!({"lat": 1, "lng": 2})),
            "location",
            json!({"longitude": 2.0}),
        ),
        (about("error", words()), "network_error", code()),
        (about("info", words()), "network_log", code()),
        (about("new", json!({})), "message", json!({"kind": "new"})),
    ]
}

fn of_helium() -> Vec<(Value, &'static str, Value)> {
    let about = |kind: &str| json!({"type": kind, "dev_eui": "1C29FBD1D2084E21"});
    vec![
        (about("join"), "join", json!({})),
        (about("new"), "message", json!({"kind": "new"})),
    ]
}

fn of_kerlink() -> Vec<(Value, &'static str, Value)> {
    let about = |kind: &str| json!({"type": kind, "endDevice": {"devEui": "343737394A336F09"}});
    vec![
        (about("JOIN_ACCEPT"), "join", json!({})),
        (about("new"), "message", json!({"kind": "new"})),
    ]
}
