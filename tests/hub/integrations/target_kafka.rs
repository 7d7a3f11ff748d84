//! The target `kafka`, against a real broker: what is in its topics, also when it dies, and what is told
//! where it cannot be reached or refuses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        kafka::{Door, Found, Kafka, PASSWORD, TlsDoor, USER},
        ports::free_port,
        server::{Connection, Hub},
    },
};

on_both_databases!(
    a_message_becomes_a_record,
    a_topic_that_is_not_there_is_told_of,
    what_waits_for_a_broker_is_written_when_it_is_back,
    nobody_is_let_in_who_does_not_log_in,
    a_password_is_proven_and_a_wrong_one_refused,
    connections_are_encrypted,
    no_broker_leads_the_hub_astray,
    settings_that_make_no_sense_are_refused,
);

const DEVICES: [(&str, &str); 3] = [
    ("d", "AA00000000000001"),
    ("e", "AA00000000000002"),
    ("f", "AA00000000000003"),
];
const PARTITIONS: i32 = 4;
const REFUSED: &str = "refuses the username or the password";
const FLAGS: [&str; 6] = [
    "--outgoing-allow",
    "127.0.0.0/8,::1/128",
    "--delivery-schedule-s",
    "0,0,0,1,1,1,1,1,1,1,1,1,1",
    "--delivery-timeout-s",
    "20",
];
/// Flags with one more attempt at once.
const IMPATIENT: [&str; 4] = [
    "--outgoing-allow",
    "127.0.0.0/8,::1/128",
    "--delivery-schedule-s",
    "0",
];

async fn hub(database: Database, flags: &[&str]) -> (Hub, Connection) {
    let hub = Hub::start_with(database, flags).await;
    let connection = hub.connect("tts").await;
    for (id, eui) in DEVICES {
        hub.device(id, &connection, eui, json!({"labels": ["site=köln"]}))
            .await;
    }
    (hub, connection)
}

async fn make(hub: &Hub, target: Value) -> Value {
    let body = json!({"name": "kafka", "selector": "", "target": target,
        "delivery": {"ordered_by_device": true}});
    hub.post("integrations", &body).await.created()
}

/// Waits until so many deliveries are in that state.
async fn deliveries(hub: &Hub, integration: &Value, state: &str, count: usize) -> Vec<Value> {
    let path = format!(
        "integrations/{}/deliveries?state={state}&limit=200",
        integration["id"]
    );
    eventually("the deliveries are in their state", async || {
        let found = hub.list(&path).await;
        (found.len() == count).then_some(found)
    })
    .await
}

/// The error of the one delivery that is given up, which an uplink makes.
async fn error(hub: &Hub, connection: &Connection, target: Value) -> String {
    let made = make(hub, target).await;
    hub.uplink(connection, DEVICES[0].1).await;
    let dead = deliveries(hub, &made, "dead", 1).await.remove(0);
    hub.delete(&format!("integrations/{}", made["id"]))
        .await
        .ok();
    dead["last_error"].as_str().unwrap().to_owned()
}

/// The ids of the deliveries, by the header of the records.
fn ids(records: &[Found]) -> BTreeSet<String> {
    let id = |(_, record): &Found| text(&record.headers["delivery_id"]);
    records.iter().map(id).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn a_message_becomes_a_record(database: Database) {
    let kafka = Kafka::start(Door::Open).await;
    kafka.make_topic("iot.k_ln.data", PARTITIONS).await;
    let (hub, connection) = hub(database, &FLAGS).await;
    let made = make(&hub, kafka.target("iot.{label:site}.{event}")).await;
    let mut uplinks: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for _ in 0..5 {
        for (id, eui) in DEVICES {
            uplinks
                .entry(id)
                .or_default()
                .push(hub.uplink(&connection, eui).await);
        }
    }
    let delivered = deliveries(&hub, &made, "delivered", 15).await;
    let records = kafka.records("iot.k_ln.data").await;
    assert_eq!(records.len(), 15, "each is there once");
    let expected: BTreeSet<String> = delivered
        .iter()
        .map(|delivery| delivery["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids(&records), expected);

    for (id, uplinks) in uplinks {
        let its_own: Vec<&Found> = records
            .iter()
            .filter(|(_, record)| record.key.as_deref() == Some(id.as_bytes()))
            .collect();
        let partitions: BTreeSet<i32> = its_own.iter().map(|found| found.0).collect();
        assert_eq!(partitions.len(), 1, "a device is in one partition");
        let mut told = Vec::new();
        for (_, record) in its_own {
            assert_eq!(text(&record.headers["event"]), "data");
            assert_eq!(text(&record.headers["content-type"]), "application/json");
            let value: Value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
            assert_eq!(value["uplink_metadata"]["id"], id, "{value}");
            let delivery = delivered
                .iter()
                .find(|delivery| delivery["id"] == text(&record.headers["delivery_id"]))
                .unwrap();
            told.push(delivery["uplink_id"].as_str().unwrap().to_owned());
            let queued_at: chrono::DateTime<chrono::Utc> =
                delivery["created_at"].as_str().unwrap().parse().unwrap();
            let millis = queued_at.timestamp_millis();
            assert_eq!(record.timestamp.timestamp_millis(), millis);
        }
        assert_eq!(told, uplinks, "in the order in which they came");
    }
}

async fn a_topic_that_is_not_there_is_told_of(database: Database) {
    let kafka = Kafka::start(Door::Open).await;
    let (hub, connection) = hub(database, &FLAGS).await;
    let made = make(&hub, kafka.target("later")).await;
    hub.uplink(&connection, DEVICES[0].1).await;
    let path = format!("integrations/{}", made["id"]);
    let deliveries_path = format!("{path}/deliveries");
    let waiting = eventually("it was tried", async || {
        let found = hub.list(&deliveries_path).await.into_iter().next()?;
        found["last_error"].is_string().then_some(found)
    })
    .await;
    let error = waiting["last_error"].as_str().unwrap();
    assert!(error.contains("there is no topic later"), "{error}");
    kafka.make_topic("later", 1).await;
    deliveries(&hub, &made, "delivered", 1).await;
    assert_eq!(kafka.records("later").await.len(), 1);

    // A change counts at once.
    kafka.make_topic("d-data", 1).await;
    let target = kafka.target("{device_id}-{event}");
    let change = json!({"name": "kafka", "selector": "", "target": target});
    hub.put(&path, &change).await.ok();
    hub.uplink(&connection, DEVICES[0].1).await;
    deliveries(&hub, &made, "delivered", 2).await;
    let records = kafka.records("d-data").await;
    assert_eq!(records.len(), 1, "{records:?}");
}

async fn what_waits_for_a_broker_is_written_when_it_is_back(database: Database) {
    let mut kafka = Kafka::start(Door::Open).await;
    kafka.make_topic("iot", PARTITIONS).await;
    let (hub, connection) = hub(database, &FLAGS).await;
    let made = make(&hub, kafka.target("iot")).await;
    let send = async || {
        for (_, eui) in DEVICES {
            hub.uplink(&connection, eui).await;
        }
    };
    send().await;
    deliveries(&hub, &made, "delivered", 3).await;
    assert_eq!(kafka.records("iot").await.len(), 3);

    kafka.kill().await;
    send().await;
    let path = format!("integrations/{}/deliveries?state=delivered", made["id"]);
    eventually("it was tried in vain", async || {
        let path = format!("integrations/{}/deliveries", made["id"]);
        let found = hub.list(&path).await;
        found
            .iter()
            .any(|delivery| delivery["last_error"].is_string())
            .then_some(())
    })
    .await;
    assert_eq!(hub.list(&path).await.len(), 3);
    kafka.start_again(Door::Open).await;
    send().await;
    let delivered = deliveries(&hub, &made, "delivered", 9).await;
    let written = kafka.records("iot").await;
    let expected: BTreeSet<String> = delivered
        .iter()
        .map(|delivery| delivery["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids(&written), expected);
}

async fn nobody_is_let_in_who_does_not_log_in(database: Database) {
    let kafka = Kafka::start(Door::Login).await;
    let (hub, connection) = hub(database, &IMPATIENT).await;
    let nobody = kafka.target("iot");
    let told = error(&hub, &connection, nobody.clone()).await;
    assert!(told.contains("the connection broke"), "{told}");
    let mut stranger = nobody;
    stranger["username"] = USER.into();
    stranger["password"] = PASSWORD.into();
    let told = error(&hub, &connection, stranger).await;
    assert!(told.contains(REFUSED), "{told}");
}

async fn a_password_is_proven_and_a_wrong_one_refused(database: Database) {
    let (hub, connection) = hub(database, &IMPATIENT).await;
    for (mechanism, tool) in [("scram_sha_256", "scram256"), ("scram_sha_512", "scram512")] {
        let mut kafka = Kafka::start(Door::Open).await;
        kafka.make_topic("iot", 1).await;
        kafka.make_user(tool).await;
        kafka.kill().await;
        kafka.start_again(Door::Login).await;
        let mut target = kafka.target("iot");
        target["username"] = USER.into();
        target["mechanism"] = mechanism.into();
        target["password"] = "guessed".into();
        let told = error(&hub, &connection, target.clone()).await;
        assert!(told.contains(REFUSED), "{told}");
        target["password"] = PASSWORD.into();
        let made = make(&hub, target.clone()).await;
        assert_eq!(made["target"]["has_password"], true, "{made}");
        assert!(made["target"].get("password").is_none(), "{made}");
        // The password stays where it is not given again.
        target.as_object_mut().unwrap().remove("password");
        let path = format!("integrations/{}", made["id"]);
        let change = json!({"name": "renamed", "selector": "", "target": target});
        hub.put(&path, &change).await.ok();
        hub.uplink(&connection, DEVICES[0].1).await;
        deliveries(&hub, &made, "delivered", 1).await;
        hub.delete(&path).await.ok();
        kafka.kill().await;
        kafka.start_again(Door::Open).await;
        assert_eq!(kafka.records("iot").await.len(), 1);
    }
}

async fn connections_are_encrypted(database: Database) {
    let port = free_port();
    let advertised = format!("localhost:{port}");
    let kafka = Kafka::start_as(Door::Open, free_port(), &advertised).await;
    let door = TlsDoor::open(port, kafka.port).await;
    let (hub, connection) = hub(database, &IMPATIENT).await;
    let target = json!({"type": "kafka", "topic": "iot", "ca": door.ca, "bootstrap": [advertised]});

    let mut untrusted = target.clone();
    untrusted.as_object_mut().unwrap().remove("ca");
    let told = error(&hub, &connection, untrusted).await;
    assert!(told.contains("TLS: "), "{told}");

    let mut elsewhere = target.clone();
    elsewhere["bootstrap"] = json!([format!("127.0.0.1:{}", door.port)]);
    let told = error(&hub, &connection, elsewhere).await;
    assert!(told.contains("certificate"), "{told}");

    // All that is wrong from here on is the missing TLS.
    kafka.make_topic("iot", 1).await;
    let mut plain = target.clone();
    plain["tls"] = "off".into();
    plain.as_object_mut().unwrap().remove("ca");
    let told = error(&hub, &connection, plain).await;
    assert!(told.contains("is this a broker of Kafka?"), "{told}");

    let made = make(&hub, target).await;
    hub.uplink(&connection, DEVICES[0].1).await;
    deliveries(&hub, &made, "delivered", 1).await;
}

async fn no_broker_leads_the_hub_astray(database: Database) {
    // A broker that advertises a forbidden address.
    let address = "10.1.2.3:9092";
    let liar = Kafka::start_as(Door::Open, free_port(), address).await;
    liar.make_topic("iot", 1).await;
    let (hub, connection) = hub(database, &IMPATIENT).await;
    let told = error(&hub, &connection, liar.target("iot")).await;
    assert!(
        told.contains(address) && told.contains("outgoing_allow"),
        "{told}"
    );

    let mut inside = liar.target("iot");
    inside["bootstrap"] = json!(["169.254.169.254:80", "10.0.0.1:9092"]);
    let body = json!({"name": "inside", "selector": "", "target": inside});
    let told = hub.post("integrations", &body).await.refused(400);
    assert!(
        told.starts_with("target.bootstrap[0]: ") && told.contains("outgoing_allow"),
        "{told}"
    );
}

async fn settings_that_make_no_sense_are_refused(database: Database) {
    let hub = Hub::start(database).await;
    let good =
        json!({"type": "kafka", "bootstrap": ["kafka.example.com:9093"], "topic": "iot.{event}"});
    for (name, value, told) in [
        ("bootstrap", json!([]), "target.bootstrap"),
        (
            "bootstrap",
            json!(["kafka.example.com"]),
            "target.bootstrap[0]: must be",
        ),
        (
            "bootstrap",
            json!(["kafka.example.com:0"]),
            "target.bootstrap[0]: must be",
        ),
        ("topic", json!("a/b"), "target.topic: must be letters"),
        ("topic", json!("{who}"), "target.topic: must have no braces"),
        (
            "password",
            json!("x"),
            "target.password: requires target.username",
        ),
        (
            "mechanism",
            json!("plain"),
            "target.mechanism: requires target.username",
        ),
        ("username", json!("x"), "target.password: is required"),
        ("mechanism", json!("gssapi"), "target.mechanism"),
    ] {
        let mut target = good.clone();
        target[name] = value;
        let body = json!({"name": "kafka", "selector": "", "target": target});
        let refusal = hub.post("integrations", &body).await.refused(400);
        assert!(refusal.contains(told), "{told}: {refusal}");
    }
    let made = make(&hub, good).await;
    let target = &made["target"];
    assert_eq!(target["tls"], "required", "{made}");
    assert_eq!(target["username"], Value::Null);
    assert_eq!(target["mechanism"], Value::Null);
}
