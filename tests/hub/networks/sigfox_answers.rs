//! A downlink in the answer to a device's message: the answer may not arrive, and Sigfox then repeats the
//! message.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{
    database::{Database, on_both_databases},
    raw,
    server::{Connection, Hub},
};

on_both_databases!(
    an_answer_that_does_not_arrive_is_given_again,
    an_answer_has_no_downlink_of_another_network,
    copies_at_once_get_one_downlink,
    what_a_base_station_has_sent_is_not_given_again,
);

pub const DEVICE: &str = "1A2345";

/// A hub with so many downlinks for the device `d`, which asks for them.
pub async fn hub(database: Database, downlinks: usize) -> (Hub, Connection, Vec<Value>) {
    let hub = Hub::start(database).await;
    let settings = json!({"name": "sigfox", "settings": {"type": "sigfox"}});
    let connection = hub.connect_as(&settings).await;
    hub.device("d", &connection, DEVICE, json!({})).await;
    hub.sends_downlinks(&connection, &json!({"type": "sigfox"}))
        .await;
    let mut queued = Vec::new();
    for number in 1..=downlinks {
        let body = json!({"payload_hex": format!("{number:016x}")});
        queued.push(hub.post("devices/d/downlinks", &body).await.created());
    }
    (hub, connection, queued)
}

fn message(number: u32) -> String {
    json!({"device": DEVICE, "data": "b0513801", "time": "1512814827", "ack": "true",
        "seqNumber": number.to_string()})
    .to_string()
}

/// Sends a message and returns the downlink in its answer, and whether it was a copy.
async fn ask(hub: &Hub, connection: &Connection, number: u32) -> (Value, bool) {
    let receipt = hub.ingest(connection, message(number)).await.ok();
    (receipt[DEVICE].clone(), receipt["status"] == "duplicate")
}

fn data(number: usize) -> Value {
    json!({"downlinkData": format!("{number:016x}")})
}

async fn an_answer_that_does_not_arrive_is_given_again(database: Database) {
    let (hub, connection, queued) = hub(database, 2).await;
    let body = message(7);
    let request = format!(
        "POST /api/v3/network-connections/{}/uplinks HTTP/1.1\r\nHost: localhost\r\n\
         X-Ingest-Key: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        connection.id,
        connection.key,
        body.len()
    );
    let mut stream = raw::open(&hub, &["http/1.1"]).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    // The downlink counts as sent, although the response is never read.
    hub.downlink_gets(&queued[0], "sent").await;
    drop(stream);
    for _ in 0..2 {
        assert_eq!(ask(&hub, &connection, 7).await, (data(1), true));
    }
    hub.downlink_gets(&queued[1], "queued").await;
    assert_eq!(ask(&hub, &connection, 8).await, (data(2), false));
    // Each message gets the downlink of its own.
    assert_eq!(ask(&hub, &connection, 7).await, (data(1), true));
    let events = hub.list("devices/d/events?kind=downlink_sent").await;
    assert_eq!(events.len(), 2, "{events:#?}");
}

async fn an_answer_has_no_downlink_of_another_network(database: Database) {
    let (hub, connection, _) = hub(database, 1).await;
    let settings = json!({"name": "other", "settings": {"type": "sigfox"}});
    let other = hub.connect_as(&settings).await;
    hub.sends_downlinks(&other, &json!({"type": "sigfox"}))
        .await;
    let addresses = [&connection, &other]
        .map(|one| json!({"network_connection_id": one.id, "network_device_id": DEVICE}));
    let both = json!({"connectivity": {"connections": addresses}});
    hub.put("devices/d", &both).await.ok();
    let nothing = json!({"noData": true});
    assert_eq!(ask(&hub, &other, 7).await, (nothing, false));
    assert_eq!(ask(&hub, &connection, 8).await, (data(1), false));
}

async fn copies_at_once_get_one_downlink(database: Database) {
    let (hub, connection, queued) = hub(database, 3).await;
    let copies = (0..6).map(|_| ask(&hub, &connection, 7));
    let answers = futures_util::future::join_all(copies).await;
    for (answer, _) in &answers {
        assert_eq!(*answer, data(1), "{answers:?}");
    }
    for waiting in &queued[1..] {
        hub.downlink_gets(waiting, "queued").await;
    }
}

async fn what_a_base_station_has_sent_is_not_given_again(database: Database) {
    let (hub, connection, queued) = hub(database, 2).await;
    assert_eq!(ask(&hub, &connection, 7).await, (data(1), false));
    let emitted = json!({"device": DEVICE, "infoCode": 0, "downlinkAck": true});
    hub.ingest(&connection, emitted.to_string()).await.ok();
    let nothing = json!({"noData": true});
    assert_eq!(ask(&hub, &connection, 7).await, (nothing, true));
    hub.downlink_gets(&queued[1], "queued").await;
}
