//! Downlinks as each network server wants them.

use serde_json::{Value, json};

use super::downlink_sending::{EUI, TO_HERE, http, hub, queue};
use crate::{
    networks::sigfox_answers::{self, DEVICE},
    support::{
        database::{Database, on_both_databases},
        network_server::NetworkServer,
        server::things_stack,
    },
};

on_both_databases!(
    the_things_stack_is_pushed_to_over_its_webhook,
    chirpstack_is_given_an_item_for_its_queue,
    every_other_network_server_gets_what_it_wants,
    sigfox_finds_it_in_the_answer_to_a_device_that_asks,
);

async fn the_things_stack_is_pushed_to_over_its_webhook(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let server = NetworkServer::start(vec![]).await;
    let settings = json!({"type": "the_things_stack", "base_url": server.url,
        "webhook_id": "hub", "api_key": "NNSXS.SECRET"});
    hub.sends_downlinks(&connection, &settings).await;
    hub.uplink(&connection, EUI).await;
    let queued = queue(&hub, json!({"confirmed": true, "priority": "high"})).await;
    let asked = server.is_asked(1).await.remove(0);
    assert_eq!(asked.method, "POST");
    let names = hub.list("devices/d/uplinks").await[0]["radio"]["network"].clone();
    let (application, device) = (names["application"].as_str(), names["device"].as_str());
    assert_eq!(
        asked.path,
        format!(
            "/api/v3/as/applications/{}/webhooks/hub/devices/{}/down/push",
            application.unwrap(),
            device.unwrap()
        )
    );
    assert_eq!(asked.header("authorization"), "Bearer NNSXS.SECRET");
    let correlation = format!("thingshub:downlink:{}", queued["id"].as_str().unwrap());
    let wanted = json!({"frm_payload": "vu8=", "f_port": 15, "confirmed": true,
        "priority": "HIGH", "correlation_ids": [correlation]});
    assert_eq!(asked.json(), json!({"downlinks": [wanted]}));
    let sent = hub.downlink_gets(&queued, "sent").await;
    assert_eq!(
        (
            &sent["last_status"],
            &sent["attempts"],
            &sent["next_attempt_at"]
        ),
        (&json!(200), &json!(1), &Value::Null)
    );
    assert!(sent["sent_at"].is_string());
    let events = hub.list("devices/d/events?kind=downlink_sent").await;
    assert_eq!(events[0]["details"]["downlink_id"], queued["id"]);
    // The last uplink over this connection tells the names, such as those after a move to another application.
    let elsewhere = hub.connect("elsewhere").await;
    let addresses = [&connection, &elsewhere]
        .map(|one| json!({"network_connection_id": one.id, "network_device_id": EUI}));
    let both = json!({"connectivity": {"connections": addresses}});
    hub.put("devices/d", &both).await.ok();
    for (over, application, device, day) in [
        (&connection, "moved-app", "moved", 1),
        (&elsewhere, "app-elsewhere", "elsewhere", 2),
    ] {
        let mut message: Value = serde_json::from_str(&things_stack(EUI)).unwrap();
        let at = json!(format!("2026-02-{day:02}T12:00:00Z"));
        message["end_device_ids"]["application_ids"]["application_id"] = application.into();
        message["end_device_ids"]["device_id"] = device.into();
        message["received_at"] = at.clone();
        message["uplink_message"]["received_at"] = at;
        let receipt = hub.ingest(over, message.to_string()).await.ok();
        assert_eq!(receipt["status"], "recorded");
    }
    queue(&hub, json!({"network_connection_id": connection.id})).await;
    let asked = server.is_asked(2).await.remove(1);
    assert_eq!(
        asked.path,
        "/api/v3/as/applications/moved-app/webhooks/hub/devices/moved/down/push"
    );
}

async fn chirpstack_is_given_an_item_for_its_queue(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let server = NetworkServer::start(vec![(Some(200), json!({"id": "item-7"}))]).await;
    let settings = json!({"type": "chirpstack", "base_url": server.url, "api_token": "token"});
    hub.sends_downlinks(&connection, &settings).await;
    let queued = queue(&hub, json!({})).await;
    let asked = server.is_asked(1).await.remove(0);
    assert_eq!(asked.path, "/api/devices/aa00000000000001/queue");
    assert_eq!(asked.header("grpc-metadata-authorization"), "Bearer token");
    let item = json!({"confirmed": false, "data": "vu8=", "fPort": 15});
    assert_eq!(asked.json(), json!({"queueItem": item}));
    let sent = hub.downlink_gets(&queued, "sent").await;
    assert_eq!(sent["network_reference"], "item-7");
    // LoRaWAN has a bound, which other networks have not.
    let sized = async |bytes: usize| {
        let body = json!({"payload_hex": "00".repeat(bytes)});
        hub.post("devices/d/downlinks", &body).await
    };
    sized(242).await.created();
    let rule = sized(243).await.refused(400);
    assert_eq!(
        rule,
        "payload_hex: must have at most 242 bytes over LoRaWAN"
    );
    hub.sends_downlinks(&connection, &http(&server)).await;
    sized(243).await.created();
}

async fn every_other_network_server_gets_what_it_wants(database: Database) {
    let (hub, connection) = hub(database, &TO_HERE).await;
    let refusal = (Some(200), json!({"error": "no such device"}));
    let well = || (Some(200), json!({}));
    let server = NetworkServer::start(vec![well(), well(), refusal, well(), well()]).await;
    let url = |path: &str| format!("{}{path}", server.url);

    let settings = json!({"type": "actility", "url": url("/thingpark/lrc/rest/downlink"),
        "as_id": "app.example", "as_key": "46ab678cd45df4a4e4b375eacd096acc"});
    hub.sends_downlinks(&connection, &settings).await;
    let queued = queue(&hub, json!({"confirmed": true})).await;
    let sent = hub.downlink_gets(&queued, "sent").await;
    let path = server.asked()[0].path.clone();
    let reference = sent["network_reference"].as_str().unwrap();
    let start = format!(
        "/thingpark/lrc/rest/downlink?DevEUI={EUI}&FPort=15&Payload=beef&CorrelationID={reference}&Confirmed=1&AS_ID=app.example&Time="
    );
    assert!(path.starts_with(&start), "{path}");
    assert!(path.contains("&Token="), "{path}");

    let settings = json!({"type": "loriot", "url": url("/1/rest"), "application_id": "be7a0000",
        "token": "t"});
    hub.sends_downlinks(&connection, &settings).await;
    let queued = queue(&hub, json!({})).await;
    hub.downlink_gets(&queued, "sent").await;
    let asked = &server.asked()[1];
    assert_eq!(asked.header("authorization"), "Bearer t");
    assert_eq!(
        asked.json(),
        json!({"cmd": "tx", "EUI": EUI, "port": 15, "confirmed": false, "data": "beef",
            "appid": "be7a0000"})
    );
    let refused = queue(&hub, json!({})).await;
    let failed = hub.downlink_gets(&refused, "failed").await;
    let error = failed["last_error"].as_str().unwrap();
    assert!(error.contains("no such device"), "{error}");

    let mut settings = http(&server);
    settings["method"] = "PUT".into();
    settings["authorization"] = "Basic x".into();
    settings["content_type"] = "text/plain".into();
    hub.sends_downlinks(&connection, &settings).await;
    let queued = queue(&hub, json!({})).await;
    hub.downlink_gets(&queued, "sent").await;
    let asked = &server.asked()[3];
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("PUT", "/down")
    );
    assert_eq!(asked.header("authorization"), "Basic x");
    assert_eq!(asked.header("content-type"), "text/plain");
    assert_eq!(asked.json(), json!({"id": queued["id"], "payload": "beef"}));

    let settings = json!({"type": "actility", "url": url("/thingpark/lrc/rest/downlink")});
    hub.sends_downlinks(&connection, &settings).await;
    let queued = queue(&hub, json!({})).await;
    hub.downlink_gets(&queued, "sent").await;
    let path = server.asked()[4].path.clone();
    assert!(!path.contains("Confirmed"), "{path}");
}

async fn sigfox_finds_it_in_the_answer_to_a_device_that_asks(database: Database) {
    let (hub, connection, _) = sigfox_answers::hub(database, 0).await;
    let short = hub
        .post("devices/d/downlinks", &json!({"payload_hex": "beef"}))
        .await;
    let rule = short.refused(400);
    assert_eq!(rule, "payload_hex: must have exactly 8 bytes for Sigfox");
    let eight = json!({"payload_hex": "0102030405060708", "confirmed": true});
    let queued = queue(&hub, eight).await;
    // The documented body with the values that the backend sends.
    let callback = async |number: u32, ack: bool| {
        let body = json!({"device": DEVICE, "data": "b0513801", "time": "1512814827",
            "seqNumber": number.to_string(), "station": "1D44", "rssi": "-123.00", "snr": "18.86",
            "ack": ack.to_string()});
        let receipt = hub.ingest(&connection, body.to_string()).await.ok();
        assert_eq!(receipt["status"], "recorded", "{receipt}");
        receipt[DEVICE].clone()
    };
    assert_eq!(callback(1508, false).await, Value::Null);
    hub.downlink_gets(&queued, "queued").await;
    let answered = json!({"downlinkData": "0102030405060708"});
    assert_eq!(callback(1509, true).await, answered);
    hub.downlink_gets(&queued, "sent").await;
    let metrics = hub.get("/metrics").await.text;
    assert!(metrics.contains("thingshub_downlinks_total{outcome=\"answered\"} 1\n"));
    let nothing = json!({"noData": true});
    assert_eq!(callback(1510, true).await, nothing, "once is enough");
    assert_eq!(callback(1511, false).await, Value::Null, "it does not ask");
    // If a device asks for a downlink, Sigfox takes any other answer for a failure, even if the message was
    // recorded.
    let ask = |device: &str| json!({"device": device, "data": "b0513801", "time": "1512814827", "seqNumber": "1510", "ack": true});
    for (device, status) in [(DEVICE, "duplicate"), ("1A2346", "unknown_device")] {
        let answer = hub.ingest(&connection, ask(device).to_string()).await.ok();
        assert_eq!(answer["status"], status, "{answer}");
        assert_eq!(answer[device], nothing, "{answer}");
    }
    let emitted = json!({"device": DEVICE, "time": "1512814900", "infoCode": "0",
        "infoMessage": "Acked", "downlinkAck": "true"});
    hub.ingest(&connection, emitted.to_string()).await.ok();
    // A base station has sent it: Sigfox knows no more.
    let sent = hub.downlink_gets(&queued, "sent").await;
    assert!(sent["transmitted_at"].is_string(), "{sent}");
}
