//! The downlink that a report belongs to: by the hub's id, then the network server's, then the frame counter,
//! then the order in which they were sent.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    network_server::NetworkServer,
    server::{Connection, EUI, Hub},
};

on_both_databases!(a_report_belongs_to_the_downlink_that_it_names);

/// A report of The Things Stack; with the downlink's id if it names one.
pub async fn report(
    hub: &Hub,
    connection: &Connection,
    kind: &str,
    f_cnt: u32,
    named: Option<&Value>,
) {
    let ids: Vec<String> = named
        .iter()
        .map(|downlink| format!("thingshub:downlink:{}", downlink["id"].as_str().unwrap()))
        .collect();
    let message = json!({"end_device_ids": {"device_id": "dev1", "dev_eui": EUI,
        "application_ids": {"application_id": "app1"}},
        kind: {"f_cnt": f_cnt, "correlation_ids": ids}});
    let receipt = hub.ingest(connection, message.to_string()).await.ok();
    assert_eq!(receipt["status"], "other", "{receipt}");
}

async fn a_report_belongs_to_the_downlink_that_it_names(database: Database) {
    let flags = ["--outgoing-allow", "127.0.0.0/8"];
    let (hub, connection) = Hub::with_device(database, &flags).await;
    let server = NetworkServer::start(vec![]).await;
    let settings = json!({"type": "http", "method": "POST", "url": server.url});
    hub.sends_downlinks(&connection, &settings).await;
    let mut sent = Vec::new();
    for _ in 0..4 {
        let body = json!({"payload_hex": "beef", "f_port": 15, "confirmed": true});
        let queued = hub.post("devices/d/downlinks", &body).await.created();
        hub.downlink_gets(&queued, "sent").await;
        sent.push(queued);
    }
    let state = async |of: usize| {
        let path = format!("devices/d/downlinks/{}", sent[of]["id"].as_str().unwrap());
        hub.get(&path).await.ok()
    };
    // By the id, although others were sent before it.
    report(&hub, &connection, "downlink_sent", 12, Some(&sent[2])).await;
    // Without one it is the oldest that was not sent over the air.
    report(&hub, &connection, "downlink_sent", 10, None).await;
    report(&hub, &connection, "downlink_sent", 11, None).await;
    for (of, counter) in [(0, 10), (1, 11), (2, 12)] {
        let found = state(of).await;
        assert_eq!(found["f_cnt_down"], counter, "{found}");
        assert!(found["transmitted_at"].is_string(), "{found}");
    }
    assert_eq!(state(3).await["transmitted_at"], Value::Null);
    // By the frame counter, although another one has waited for longer to be confirmed.
    report(&hub, &connection, "downlink_ack", 11, None).await;
    let acknowledged = async || {
        let mut found = Vec::new();
        for of in 0..4 {
            found.extend((state(of).await["state"] == "acknowledged").then_some(of));
        }
        found
    };
    assert_eq!(acknowledged().await, [1]);
    // The id counts before the counter.
    report(&hub, &connection, "downlink_ack", 10, Some(&sent[2])).await;
    assert_eq!(acknowledged().await, [1, 2]);
    // An unknown counter means the oldest that is to be confirmed.
    report(&hub, &connection, "downlink_ack", 99, None).await;
    assert_eq!(acknowledged().await, [0, 1, 2]);
}
