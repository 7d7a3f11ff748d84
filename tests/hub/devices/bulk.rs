//! Many devices at once: imports that survive bad rows and a killed hub, exports that can be
//! imported, and one change of all that a selector picks.

use std::fmt::Write;

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    devices::importing::{self, FILE, done, errors},
    eventually,
    support::{
        database::{Database, on_both_databases, on_postgres},
        rows::count,
        server::{Answer, Hub, PASSWORD, WithJson},
    },
};

on_both_databases!(
    csv_and_ndjson_make_devices,
    bad_rows_fail_alone,
    what_exists_fails_is_replaced_or_stays,
    a_killed_hub_goes_on,
    an_export_can_be_imported,
    labels_change_in_bulk,
    devices_go_in_bulk,
    files_that_say_nothing_are_refused,
);

const CSV: &str = "csv";
const NDJSON: &str = "ndjson";

async fn send(
    hub: &Hub,
    token: &str,
    query: &str,
    format: &str,
    file: impl Into<String>,
) -> Answer {
    let and = if query.is_empty() { "?" } else { "&" };
    let query = format!("{query}{and}format={format}");
    importing::send(hub, token, &query, FILE, file.into()).await
}

/// Imports a file; answers the import when it is done.
async fn import(hub: &Hub, query: &str, format: &str, file: impl Into<String>) -> Value {
    let begun = send(hub, &hub.token, query, format, file).await.created();
    done(hub, &begun).await
}

/// Created, updated, skipped, failed.
fn counts(import: &Value) -> [i64; 4] {
    ["created", "updated", "skipped", "failed"].map(|name| import[name].as_i64().unwrap())
}

async fn csv_and_ndjson_make_devices(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode() { return {} }")
        .await;
    let file = format!(
        "\u{feff}id,name,description,driver,labels,network_connection_id,network_device_id,metadata\r\n\
         d1,One,\"two\nlines\",a/b:1,site=berlin;indoor,{0},aa00000000000001,\"{{\"\"floor\"\":2}}\"\r\n\
         d2,,,,,,,\r\n\
         ,nameless,,,,,,\r\n",
        connection.id
    );
    let made = import(&hub, "", CSV, file).await;
    assert_eq!(counts(&made), [3, 0, 0, 0]);
    assert_eq!(
        (&made["format"], &made["rows_total"]),
        (&json!("csv"), &json!(3))
    );
    let device = hub.get("devices/d1").await.ok();
    assert_eq!(device["name"], "One");
    assert_eq!(device["description"], "two\nlines");
    assert_eq!(device["labels"], json!(["site=berlin", "indoor"]));
    assert_eq!(device["metadata"], json!({"floor": 2}));
    assert_eq!(device["revision"], 1);
    // The device works like any other.
    hub.uplink(&connection, "AA00000000000001").await;
    assert_eq!(hub.list("devices/d1/uplinks").await.len(), 1);
    assert_eq!(hub.list("devices?selector=indoor").await.len(), 1);

    let lines = format!(
        "{}\n\n{}\n",
        json!({"id": "n1", "labels": ["x"], "connectivity": {"connections": [
            {"network_connection_id": connection.id, "network_device_id": "AA00000000000002"},
        ]}}),
        json!({"name": "n2"})
    );
    let made = import(&hub, "", NDJSON, lines).await;
    assert_eq!(counts(&made), [2, 0, 0, 0]);
    hub.uplink(&connection, "AA00000000000002").await;

    let path = format!("devices/import/{}/rows", made["id"]);
    let rows = hub.list(&path).await;
    assert_eq!(rows[0]["device_id"], "n1");
    assert_eq!(
        (&rows[1]["row"], &rows[1]["outcome"]),
        (&json!(2), &json!("created"))
    );
    assert_eq!(hub.list("devices/import").await.len(), 2);
    let audit = hub.list("audit-log?resource=devices&resource_id=n1").await;
    assert_eq!(audit[0]["action"], "create_device_import", "{audit:?}");
    let own = hub.get("users/me").await.ok();
    assert_eq!(audit[0]["actor"], own["username"]);
    assert_eq!(audit[0]["user_id"], own["id"]);
    assert_eq!(audit[0]["api_key_id"], Value::Null);
    assert_eq!(audit[0]["address"], "127.0.0.1");
    assert_eq!(audit[0]["after"]["labels"], json!(["x"]));
    let key = hub.api_key("program", &["write"]).await;
    let begun = send(&hub, &key, "", CSV, "id\nk1\n").await.created();
    done(&hub, &begun).await;
    let audit = hub.list("audit-log?resource=devices&resource_id=k1").await;
    let program = hub.list("api-keys").await[0]["id"].clone();
    assert_eq!(
        (&audit[0]["api_key_id"], &audit[0]["user_id"]),
        (&program, &Value::Null)
    );
}

async fn bad_rows_fail_alone(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device(
        "taken",
        &connection,
        "AA00000000000001",
        json!({"name": "Taken"}),
    )
    .await;
    let id = connection.id;
    let file = format!(
        "id,name,labels,network_connection_id,network_device_id\n\
         good-1,,,,\n\
         -bad,,,,\n\
         good-2,,(,,\n\
         good-1,,,,\n\
         import,,,,\n\
         a,Taken,,,\n\
         b,,,{id},aa00000000000001\n\
         c,,,{id},x\n\
         d,,,999999,AA00000000000009\n\
         e,\"open,,,\n\
         f,long,,,,more\n\
         g,Twice,,,\n\
         h,Twice,,,\n\
         good-3,,,{id},AA00000000000003\n\
         \"unclosed,,,,\n"
    );
    let made = import(&hub, "", CSV, file).await;
    assert_eq!(counts(&made), [3, 0, 0, 12]);
    let errors = errors(&hub, &made, "row").await;
    let expected = [
        (2, "id: must be letters"),
        (3, "labels[0]: must be letters"),
        (4, "id: there is a device \"good-1\" already"),
        (5, "id: must not be import"),
        (6, "name: another device has this name already"),
        (7, "network_device_id: another device"),
        (8, "network_device_id: must be a DevEUI"),
        (9, "network_connection_id: there is no"),
        (10, "a quote is opened"),
        (11, "the row has 6 cells"),
        (13, "name: another device has this name already"),
        (15, "a quote is opened"),
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for ((row, error), (number, start)) in errors.iter().zip(expected) {
        assert_eq!(*row, number, "{error}");
        assert!(error.starts_with(start), "{row}: {error}");
    }
    let lines = "{\"id\":\"n1\"}\n{\n{\"id\":\"n2\",\"x\":1}\n[]\n{\"id\":\"n3\"}";
    let made = import(&hub, "", NDJSON, lines).await;
    assert_eq!(counts(&made), [2, 0, 0, 3]);
    hub.get("devices/n3").await.ok();
}

async fn what_exists_fails_is_replaced_or_stays(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, "AA00000000000001", json!({"name": "Old"}))
        .await;
    let file = format!(
        "id,name,network_connection_id,network_device_id\n\
         d,New,{0},AA00000000000002\ne,Old,{0},AA00000000000001\n",
        connection.id
    );
    let made = import(&hub, "?on_existing=skip", CSV, file.clone()).await;
    assert_eq!(counts(&made), [0, 0, 1, 1]);
    assert_eq!(hub.get("devices/d").await.ok()["name"], "Old");
    let made = import(&hub, "", CSV, file.clone()).await;
    assert_eq!(counts(&made), [0, 0, 0, 2]);
    // The second row takes what the first has given up.
    let made = import(&hub, "?on_existing=update", CSV, file).await;
    assert_eq!(
        counts(&made),
        [1, 1, 0, 0],
        "{:?}",
        errors(&hub, &made, "row").await
    );
    let device = hub.get("devices/d").await.ok();
    assert_eq!(
        (&device["name"], &device["revision"]),
        (&json!("New"), &json!(2))
    );
    assert_eq!(hub.get("devices/e").await.ok()["name"], "Old");
    let made = import(&hub, "?on_existing=update", CSV, "id,name\nx,1\nx,2\n").await;
    assert_eq!(counts(&made), [1, 1, 0, 0]);
    assert_eq!(hub.get("devices/x").await.ok()["name"], "2");
    let refused = send(&hub, &hub.token, "?on_existing=merge", CSV, "id\na\n").await;
    assert!(refused.refused(400).starts_with("on_existing: "));
}

async fn a_killed_hub_goes_on(database: Database) {
    let mut hub = Hub::start(database).await;
    let mut file = "id,labels\n".to_owned();
    for number in 0..5000 {
        let _ = writeln!(file, "d{number},bulk;n={number}");
    }
    let begun = send(&hub, &hub.token, "", CSV, file).await.created();
    let path = format!("devices/import/{}", begun["id"]);
    eventually("the first batch is done", async || {
        let import = hub.get(&path).await.ok();
        (import["created"] != 0).then_some(())
    })
    .await;
    hub.end(Signal::SIGKILL).await;
    let made = count(&hub, "devices").await;
    assert!(made > 0 && made < 5000, "{made} devices");
    hub.start_again().await;
    let import = done(&hub, &begun).await;
    assert_eq!(counts(&import), [5000, 0, 0, 0]);
    let page = hub.get(&format!("{path}/rows?limit=1000")).await.ok();
    assert_eq!(page["collection"][999]["row"], 1000);
    let change = json!({"selector": "bulk", "action": {"type": "delete"}});
    let found = hub.post("devices/bulk", &change).await.ok();
    assert_eq!(found["matched"], 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_goes_on_with_what_another_has_begun() {
    on_postgres(async |database: Database| {
        let mut one = Hub::start(database.clone()).await;
        let two = Hub::start(database).await;
        let mut file = "id\n".to_owned();
        for number in 0..5000 {
            let _ = writeln!(file, "d{number}");
        }
        let begun = send(&one, &one.token, "", CSV, file).await.created();
        one.end(Signal::SIGKILL).await;
        let waiting = count(&two, "device_import_batches").await;
        assert!(waiting > 0, "it was done when its hub was killed");
        let import = done(&two, &begun).await;
        assert_eq!(counts(&import), [5000, 0, 0, 0]);
    })
    .await;
}

async fn an_export_can_be_imported(database: Database) {
    let mut hub = Hub::start(database).await;
    let (mut file, count) = ("id,name,labels,metadata\n".to_owned(), 1203);
    for number in 0..count {
        let _ = writeln!(
            file,
            "d{number},\"Name, \"\"{number}\"\"\",x;n={number},\"{{\"\"n\"\":{number}}}\""
        );
    }
    let made = import(&hub, "", CSV, file).await;
    assert_eq!(counts(&made), [count, 0, 0, 0]);
    hub.push("a/b", "1", "function decode() { return {} }")
        .await;
    let more =
        json!({"id": "rich", "description": "two\nlines", "driver": "a/b:1", "labels": ["n=rich"]});
    hub.post("devices", &more).await.created();
    let count = count + 1;
    hub.tenant("other").await;
    let other = hub.log_in("other", PASSWORD).await;
    let own = std::mem::replace(&mut hub.token, other.clone());
    hub.push("a/b", "1", "function decode() { return {} }")
        .await;
    hub.token = own;
    let mut exports = Vec::new();
    for (format, kind) in [(CSV, "text/csv"), (NDJSON, "application/x-ndjson")] {
        let path = format!("devices/export?format={format}");
        let answer = hub.get(&path).await;
        assert_eq!(answer.status, 200);
        let found = answer.headers["content-type"].to_str().unwrap().to_owned();
        assert!(found.starts_with(kind), "{found}");
        let begun = send(
            &hub,
            &other,
            "?on_existing=update",
            format,
            answer.text.clone(),
        )
        .await;
        let path_of_import = format!("devices/import/{}", begun.created()["id"]);
        eventually("the other tenant's import is done", async || {
            let request = hub
                .request(Method::GET, &path_of_import)
                .bearer_auth(&other);
            let import = hub.answer(request).await.ok();
            (import["state"] == "done").then(|| assert_eq!(counts(&import), [count, 0, 0, 0]))
        })
        .await;
        let request = hub.request(Method::GET, &path).bearer_auth(&other);
        let theirs = hub.answer(request).await;
        assert!(theirs.text == answer.text, "{format}");
        exports.push(answer.text);
        let all = json!({"selector": "n", "dry_run": false, "action": {"type": "delete"}});
        let request = hub.request(Method::POST, "devices/bulk");
        let request = request.bearer_auth(&other).with_json(&all);
        assert_eq!(hub.answer(request).await.ok()["changed"], count);
    }
    assert!(exports[1].lines().count() == 1204, "a line for each device");
    let some = hub.get("devices/export?selector=n%3D7").await;
    assert_eq!(some.text.lines().count(), 2, "{}", some.text);
    let none = hub.get("devices/export?selector=none").await;
    assert_eq!(none.text.lines().count(), 1, "{}", none.text);
}

async fn labels_change_in_bulk(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode() { return {v: 1} }")
        .await;
    for number in 1..=3 {
        let label = if number == 3 {
            "site=bonn"
        } else {
            "site=berlin"
        };
        let more = json!({"driver": "a/b:1", "labels": [label]});
        let eui = format!("AA0000000000000{number}");
        hub.device(&format!("d{number}"), &connection, &eui, more)
            .await;
    }
    let table = json!({"name": "t", "selector": "kept"});
    let table = hub.post("data-tables", &table).await.created()["id"].clone();
    let action = json!({"type": "add_labels", "labels": ["kept", "site=berlin"]});
    let mut change = json!({"selector": "site=berlin", "action": action});
    let expected = json!({"matched": 2, "changed": 2, "dry_run": true, "sample": ["d1", "d2"]});
    assert_eq!(hub.post("devices/bulk", &change).await.ok(), expected);
    assert_eq!(
        hub.get("devices/d1").await.ok()["labels"],
        json!(["site=berlin"])
    );
    change["dry_run"] = json!(false);
    let found = hub.post("devices/bulk", &change).await.ok();
    assert_eq!(
        (&found["changed"], &found["dry_run"]),
        (&json!(2), &json!(false))
    );
    let device = hub.get("devices/d1").await.ok();
    assert_eq!(device["labels"], json!(["site=berlin", "kept"]));
    assert_eq!(device["revision"], 2);
    // Once more there is nothing to do.
    assert_eq!(hub.post("devices/bulk", &change).await.ok()["changed"], 0);
    assert_eq!(hub.get("devices/d1").await.ok()["revision"], 2);
    for number in 1..=3 {
        hub.uplink(&connection, &format!("AA0000000000000{number}"))
            .await;
    }
    let rows = hub.list(&format!("data-tables/{table}/rows")).await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    let audit = hub.list("audit-log?resource=devices&resource_id=d2").await;
    assert_eq!(audit[0]["action"], "create_device_bulk_change");
    assert_eq!(audit[0]["before"]["labels"], json!(["site=berlin"]));
    let action = json!({"type": "remove_labels", "labels": ["kept", "other"]});
    let change = json!({"selector": "kept", "action": action, "dry_run": false});
    assert_eq!(hub.post("devices/bulk", &change).await.ok()["changed"], 2);
    assert!(hub.list("devices?selector=kept").await.is_empty());

    let many: Vec<String> = (0..64).map(|number| format!("n={number}")).collect();
    for (change, start) in [
        (
            json!({"selector": " ", "action": {"type": "delete"}}),
            "selector: must not be empty",
        ),
        (
            json!({"selector": "a=(", "action": {"type": "delete"}}),
            "selector: at column",
        ),
        (
            json!({"selector": "a", "action": {"type": "paint"}}),
            "action.type: must be one of",
        ),
        (
            json!({"selector": "a", "action": {"type": "add_labels"}}),
            "action.labels: is required",
        ),
        (
            json!({"selector": "site", "action": {"type": "add_labels", "labels": many}}),
            "action.labels: a device has at most",
        ),
    ] {
        let error = hub.post("devices/bulk", &change).await.refused(400);
        assert!(error.starts_with(start), "{change}: {error}");
    }
}

async fn devices_go_in_bulk(database: Database) {
    let hub = Hub::start(database).await;
    let mut lines = String::new();
    for number in 0..600 {
        let label = if number % 2 == 0 { "even" } else { "odd" };
        let _ = writeln!(
            lines,
            "{}",
            json!({"id": format!("d{number}"), "labels": [label]})
        );
    }
    import(&hub, "", NDJSON, lines).await;
    let mut change = json!({"selector": "even", "action": {"type": "delete"}});
    let found = hub.post("devices/bulk", &change).await.ok();
    assert_eq!(
        (&found["changed"], found["sample"].as_array().unwrap().len()),
        (&json!(300), 20)
    );
    hub.get("devices/d0").await.ok();
    change["dry_run"] = json!(false);
    assert_eq!(found["sample"][1], "d2");
    let made = hub.post("devices/bulk", &change).await.ok();
    for member in ["matched", "changed", "sample"] {
        assert_eq!(made[member], found[member], "{member}");
    }
    hub.get("devices/d0").await.refused(404);
    let audit = hub.list("audit-log?resource=devices&resource_id=d0").await;
    assert_eq!(audit[0]["action"], "create_device_bulk_change");
    assert_eq!(audit[0]["before"]["labels"], json!(["even"]));
    assert_eq!(audit[0]["after"], Value::Null);
    hub.get("devices/d1").await.ok();
    let left = hub.get("devices?limit=1000").await.ok();
    assert_eq!(left["collection"].as_array().unwrap().len(), 300);
}

async fn files_that_say_nothing_are_refused(database: Database) {
    let hub = Hub::start_with(database, &["--import-max-bytes", "2000"]).await;
    for (kind, file, start) in [
        (
            CSV,
            "id,colour\na,red\n",
            "header line: column \"colour\" is unknown",
        ),
        (CSV, "", "body: must start with a header line"),
        (NDJSON, "\n\n", "body: must have at least one row"),
        ("xlsx", "id\na\n", "format: "),
    ] {
        let error = send(&hub, &hub.token, "", kind, file).await.refused(400);
        assert!(error.starts_with(start), "{file}: {error}");
    }
    let request = hub.request(Method::POST, "devices/import");
    let request = request
        .bearer_auth(&hub.token)
        .header("Content-Type", "text/html");
    let error = hub.answer(request.body("id\na\n")).await.refused(400);
    assert_eq!(
        error,
        "header Content-Type: must be application/octet-stream, text/csv, application/x-ndjson or multipart/form-data"
    );
    let long = format!("id\n{}", "abcdefg\n".repeat(300));
    let error = send(&hub, &hub.token, "", CSV, long).await.refused(400);
    assert!(
        error.starts_with("body: must have at most 2000 bytes"),
        "{error}"
    );
    // Told twice with a key, it is done once.
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = hub
            .request(Method::POST, "devices/import")
            .bearer_auth(&hub.token)
            .header("Content-Type", FILE)
            .header("Idempotency-Key", "once")
            .body("id\na\n");
        ids.push(hub.answer(request).await.created()["id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
}
