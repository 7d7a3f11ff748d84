//! `POST /devices` refuses: one place for the bodies that no device may have.

use serde_json::{Value, json};

use crate::{
    contract::bad_input::{labels, long, refuses},
    drivers::registry::digest_of,
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(
    members_that_break_a_rule,
    references_to_drivers_that_are_none,
    ids_names_and_addresses_that_are_taken,
    addresses_that_the_network_cannot_have,
);

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({"a": inner}))
}

fn at(connection: i64, address: &str) -> Value {
    json!({"id": "e", "connectivity": {"connections": [
        {"network_connection_id": connection, "network_device_id": address}]}})
}

async fn members_that_break_a_rule(database: Database) {
    let address = json!({"network_connection_id": 1, "network_device_id": "AA00000000000001"});
    let good = json!({"id": "d", "name": "n", "description": "", "labels": ["a=b"], "metadata": {},
        "connectivity": {"connections": [address]}});
    let connections = "/connectivity/connections";
    let many: Value = (0..17).map(|_| address.clone()).collect();
    let cases = [
        ("/id", json!(5), "must be a string"),
        ("/id", json!(""), "must have 1 to 63"),
        ("/id", long(64), "must have 1 to 63"),
        ("/id", json!("a--b"), "single dashes"),
        ("/id", json!("a b"), "single dashes"),
        ("/id", json!("ä"), "single dashes"),
        // The path of such a device would be another operation.
        ("/id", json!("import"), "id: must not be "),
        ("/id", json!("export"), "id: must not be "),
        ("/id", json!("bulk"), "id: must not be "),
        ("/name", json!(5), "must be a string"),
        ("/name", json!(true), "must be a string"),
        ("/name", long(121), "must have 0 to 120"),
        ("/name", json!("a\nb"), "control characters"),
        ("/name", json!("a\0b"), "control characters"),
        ("/description", json!([]), "must be a string"),
        ("/description", long(2001), "must have 0 to 2000"),
        ("/description", json!("\0"), "control characters"),
        ("/driver", json!("nonsense"), "author/name:tag"),
        ("/driver", json!("a/b:"), "author/name:tag"),
        ("/driver", json!("no/such:1"), "there is no driver no/such"),
        (
            "/driver",
            json!("thingshub/other:1"),
            "driver: there is no driver",
        ),
        ("/driver", json!({}), "must be a string"),
        ("/labels", json!("a"), "must be an array"),
        ("/labels", json!(null), "must be an array"),
        ("/labels", labels(65), "must have 0 to 64 items"),
        ("/labels", json!([""]), "must have 1 to 120"),
        ("/labels", json!(["a,b"]), "letters and digits"),
        ("/labels", json!([" a"]), "letters and digits"),
        ("/labels", json!([5]), "must be a string"),
        ("/metadata", json!([]), "must be an object"),
        ("/metadata", json!("x"), "must be an object"),
        ("/metadata", deep(17), "16 levels"),
        ("/metadata", json!({"a": "\0"}), "NUL"),
        ("/metadata", json!({"\0": 1}), "NUL"),
        ("/connectivity", json!([]), "must be an object"),
        ("/connectivity", json!({}), "is required"),
        (connections, json!({}), "must be an array"),
        (connections, many, "must have 0 to 16 items"),
        (
            "/connectivity/connections/0/network_connection_id",
            json!("1"),
            "must be an integer",
        ),
        (
            "/connectivity/connections/0/network_connection_id",
            json!(1.5),
            "must be an integer",
        ),
        (
            "/connectivity/connections/0/network_connection_id",
            json!(0),
            "must be an integer",
        ),
        (
            "/connectivity/connections/0/network_connection_id",
            json!(999),
            "network connection",
        ),
        (
            "/connectivity/connections/0/network_device_id",
            json!(""),
            "must have 1 to 100",
        ),
        (
            "/connectivity/connections/0/network_device_id",
            json!("a\u{7f}"),
            "control characters",
        ),
        (
            "/connectivity/connections/0/port",
            json!(1),
            "is unknown here",
        ),
        ("/state", json!({}), "is unknown here"),
        (
            "/created_at",
            json!("2020-01-01T00:00:00Z"),
            "is unknown here",
        ),
    ];
    refuses(database, "devices", &good, &cases).await;
}

async fn references_to_drivers_that_are_none(database: Database) {
    let hub = Hub::start(database).await;
    let script = "function decode() { return {} }";
    hub.push("a/b", "1", script).await;
    let digest = digest_of(script);
    for reference in [
        "a",
        "a/b:",
        "a/b@",
        "a/b:ä",
        "ä/b:1",
        "温度/b:1",
        "a/b:1@",
        "a/b@1",
        &format!("a/b:1@{digest}"),
        &format!("a/b@{}", &digest[7..]),
        &format!("a/b@{digest}0"),
        &format!("a/b@{}", digest.to_uppercase()),
    ] {
        let body = json!({"id": "d", "driver": reference});
        let error = hub.post("devices", &body).await.refused(400);
        assert!(error.starts_with("driver: must "), "{reference}: {error}");
    }
    for missing in ["a/b:2".to_owned(), format!("a/b@{}", digest_of("nothing"))] {
        let body = json!({"id": "d", "driver": missing});
        let error = hub.post("devices", &body).await.refused(400);
        assert_eq!(error, format!("driver: there is no driver {missing}"));
    }
}

async fn ids_names_and_addresses_that_are_taken(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, "AA00000000000001", json!({"name": "one"}))
        .await;
    for (body, field) in [
        (json!({"id": "d"}), "id"),
        (json!({"id": "e", "name": "one"}), "name"),
        (at(connection.id, "AA00000000000001"), "network_device_id"),
        (at(connection.id, "aa00000000000001"), "network_device_id"),
    ] {
        let error = hub.post("devices", &body).await.refused(400);
        assert!(error.contains(field), "{body}: {error}");
    }
    // Ids differ by case; names that are empty do not count.
    hub.post("devices", &json!({"id": "D"})).await.created();
    let made = hub.post("devices", &json!({})).await.created();
    assert!(!made["id"].as_str().unwrap().is_empty());
}

async fn addresses_that_the_network_cannot_have(database: Database) {
    let hub = Hub::start(database).await;
    // The Things Stack knows its devices by DevEUI alone.
    let things_stack = hub.connect("tts").await.id;
    let sigfox = json!({"name": "sigfox", "settings": {"type": "sigfox"}});
    let sigfox = hub.connect_as(&sigfox).await.id;
    for (connection, address, rule) in [
        (things_stack, "am102-meeting-2", "network_device_id"),
        (sigfox, "0A", "must be a Sigfox device id"),
    ] {
        let body = at(connection, address);
        let error = hub.post("devices", &body).await.refused(400);
        assert!(error.contains(rule), "{body}: {error}");
    }
}
