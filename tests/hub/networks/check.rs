//! The test of a network connection's credentials, against a real broker and the interfaces of
//! network servers.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{
    broker::{Broker, Door},
    database::{Database, on_both_databases},
    network_server::{NetworkServer, to_nowhere},
    server::{Connection, Hub},
};

on_both_databases!(
    a_broker_is_asked_beside_the_subscription,
    whoever_takes_downlinks_is_asked_what_harms_nothing,
    what_cannot_be_asked_is_told,
);

const EUI: &str = "AA00000000000001";
const TO_HERE: [&str; 2] = ["--outgoing-allow", "127.0.0.0/8"];

async fn hub(database: Database) -> Hub {
    Hub::start_with(database, &TO_HERE).await
}

async fn test(hub: &Hub, connection: &Connection) -> Value {
    let path = format!("network-connections/{}/test", connection.id);
    hub.post(&path, &json!({})).await.ok()
}

fn subscribing(name: &str, broker: &Value, topic: &str) -> Value {
    json!({"name": name, "settings": {"type": "mqtt", "broker": broker, "topics": [topic],
        "mapping": {"device_id_pointer": "/id", "payload_pointer": "/data",
            "payload_encoding": "hex"}}})
}

async fn a_broker_is_asked_beside_the_subscription(database: Database) {
    let broker = Broker::start(Door::Tls).await;
    let hub = hub(database).await;
    let shared = subscribing("good", &broker.settings(), "$share/hubs/a/+");
    let good = hub.connect_as(&shared).await;
    let tested = test(&hub, &good).await;
    assert_eq!(tested["uplinks"]["outcome"], "passed", "{tested}");
    assert_eq!(tested["uplinks"]["reason"], Value::Null);
    assert_eq!(tested["downlinks"], Value::Null);

    let mut wrong = broker.settings();
    wrong["password"] = "wrong".into();
    let bad = hub.connect_as(&subscribing("bad", &wrong, "a")).await;
    let tested = test(&hub, &bad).await;
    assert_eq!(tested["uplinks"]["outcome"], "failed", "{tested}");
    let reason = tested["uplinks"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("the broker"), "{reason}");

    let mut network = subscribing("network", &broker.settings(), "a");
    network["settings"] = json!({"type": "the_things_stack_mqtt", "broker": broker.settings()});
    let network = hub.connect_as(&network).await;
    let tested = test(&hub, &network).await;
    assert_eq!(tested["uplinks"]["outcome"], "passed", "{tested}");
    let reason = tested["downlinks"]["reason"].as_str().unwrap();
    assert!(reason.contains("the connection's broker"), "{reason}");

    let mut strange = broker.settings();
    strange["ca"] = Value::Null;
    let unknown = hub.connect_as(&subscribing("unknown", &strange, "a")).await;
    let tested = test(&hub, &unknown).await;
    let reason = tested["uplinks"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("TLS: "), "{reason}");
}

async fn whoever_takes_downlinks_is_asked_what_harms_nothing(database: Database) {
    let hub = hub(database).await;
    let rights = |right: &str| json!({"api_key": {"api_key": {"rights": [right]}}});
    let server = NetworkServer::start(vec![
        (Some(200), rights("RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE")),
        (Some(200), rights("RIGHT_APPLICATION_TRAFFIC_READ")),
        (Some(401), json!({"message": "no"})),
    ])
    .await;
    let connection = hub.connect("tts").await;
    let settings = json!({"type": "the_things_stack", "base_url": server.url,
        "webhook_id": "hub", "api_key": "NNSXS.SECRET"});
    hub.sends_downlinks(&connection, &settings).await;
    let tested = test(&hub, &connection).await;
    assert_eq!(tested["downlinks"]["outcome"], "passed", "{tested}");
    assert_eq!(tested["uplinks"]["outcome"], "untestable", "{tested}");
    let asked = server.asked().remove(0);
    assert_eq!((&*asked.method, &*asked.path), ("GET", "/api/v3/auth_info"));
    assert_eq!(asked.header("authorization"), "Bearer NNSXS.SECRET");

    let tested = test(&hub, &connection).await;
    let reason = tested["downlinks"]["reason"].as_str().unwrap();
    assert!(reason.contains("lacks the right"), "{reason}");
    let tested = test(&hub, &connection).await;
    assert_eq!(tested["downlinks"]["outcome"], "failed", "{tested}");
    let reason = tested["downlinks"]["reason"].as_str().unwrap();
    assert!(reason.contains("401"), "{reason}");

    let settings = json!({"type": "chirpstack", "base_url": server.url, "api_token": "t"});
    hub.sends_downlinks(&connection, &settings).await;
    let tested = test(&hub, &connection).await;
    assert_eq!(tested["downlinks"]["outcome"], "untestable", "{tested}");
    hub.device("d", &connection, EUI, json!({})).await;
    let tested = test(&hub, &connection).await;
    assert_eq!(tested["downlinks"]["outcome"], "passed", "{tested}");
    let asked = server.asked().pop().unwrap();
    assert_eq!(asked.path, "/api/devices/aa00000000000001/queue");
    assert_eq!(asked.header("grpc-metadata-authorization"), "Bearer t");

    let settings = json!({"type": "loriot", "url": format!("{}/1/rest", server.url),
        "application_id": "be7a0000", "token": "t"});
    hub.sends_downlinks(&connection, &settings).await;
    let tested = test(&hub, &connection).await;
    assert_eq!(tested["downlinks"]["outcome"], "passed", "{tested}");
    assert_eq!(server.asked().pop().unwrap().path, "/1/nwk/app/be7a0000");
}

async fn what_cannot_be_asked_is_told(database: Database) {
    let mut hub = hub(database).await;
    let connection = hub.connect("tts").await;
    hub.sends_downlinks(&connection, &to_nowhere()).await;
    let tested = test(&hub, &connection).await;
    assert_eq!(tested["downlinks"]["outcome"], "untestable", "{tested}");
    let settings = json!({"type": "the_things_stack", "base_url": "http://127.0.0.1:9",
        "webhook_id": "hub", "api_key": "k"});
    hub.sends_downlinks(&connection, &settings).await;
    // The operator allows less than before.
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&[]).await;
    let tested = test(&hub, &connection).await;
    let reason = tested["downlinks"]["reason"].as_str().unwrap();
    assert!(reason.contains("is not public"), "{reason}");
    hub.post("network-connections/99999/test", &json!({}))
        .await
        .refused(404);
}
