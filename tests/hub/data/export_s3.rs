//! Scheduled exports to S3-compatible storage.

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    exports::{add_rows, body, export, numbers, reached, run, send_again, table},
    s3_server::{BUCKET, KEY_ID, REGION, S3Server, SECRET},
    server::Hub,
};

on_both_databases!(
    a_small_file_is_one_object,
    a_large_file_is_sent_in_parts,
    what_the_server_refuses_is_reported,
);

const ALLOW: [&str; 2] = ["--outgoing-allow", "127.0.0.0/8"];

fn target(server: &S3Server) -> Value {
    json!({"type": "s3", "endpoint": server.url, "region": REGION, "bucket": BUCKET,
        "prefix": "climate/", "access_key_id": KEY_ID, "secret_access_key": SECRET,
        "path_style": true})
}

fn columns() -> Value {
    json!([{"path": "n", "type": "number"}])
}

async fn a_small_file_is_one_object(database: Database) {
    let hub = Hub::start_with(database, &ALLOW).await;
    let table = table(&hub, "Klima Süd", columns()).await;
    add_rows(&hub, &table, 3, 2_000).await;
    let server = S3Server::start().await;
    let export = export(&hub, &table, &target(&server), json!({})).await;
    let shown = hub.get(&export).await.ok()["target"].clone();
    assert_eq!(shown["has_secret_access_key"], true);
    assert!(!shown.to_string().contains(SECRET), "{shown}");
    let tested = hub.post(&format!("{export}/test"), &json!({})).await.ok();
    assert_eq!(
        (&tested["error"], &tested["is_successful"]),
        (&Value::Null, &json!(true))
    );
    assert!(server.storage.objects.lock().unwrap().is_empty());
    let first = run(&hub, &export, "succeeded").await;
    let objects = server.storage.objects.lock().unwrap().clone();
    assert_eq!(objects.len(), 1);
    let (key, content) = objects.first_key_value().unwrap();
    assert_eq!(
        key,
        &format!("climate/{}", first["file_name"].as_str().unwrap())
    );
    assert_eq!(numbers(content), (1..=2_000).collect::<Vec<_>>());
    run(&hub, &export, "empty").await;
    // Another object of the same name is never replaced.
    let (key, other) = (key.clone(), b"of somebody else".to_vec());
    let replace = |content: &[u8]| {
        let mut stored = server.storage.objects.lock().unwrap();
        stored.insert(key.clone(), content.to_vec());
    };
    replace(&other);
    send_again(&hub).await;
    let waiting = reached(&hub, &export, 1, "waiting").await;
    let error = waiting["error"].as_str().unwrap();
    assert!(
        error.contains("already, which is not of this run"),
        "{error}"
    );
    assert_eq!(server.storage.objects.lock().unwrap()[&key], other);
    assert_eq!(
        server
            .storage
            .unsigned
            .load(std::sync::atomic::Ordering::Relaxed),
        0
    );
}

/// Adds rows whose data has this many bytes.
async fn add_large_rows(hub: &Hub, table: &str, many: u32, size: usize) {
    add_rows(hub, table, 3, many).await;
    let text = "x".repeat(size);
    let data = match &hub.database {
        Database::Sqlite => format!("json_set(data, '$.text', '{text}')"),
        Database::Postgres(_) => format!("data || jsonb_build_object('text', '{text}')"),
    };
    hub.sql(&format!("UPDATE data_table_rows SET data = {data}"))
        .await;
}

async fn a_large_file_is_sent_in_parts(database: Database) {
    const MANY: u32 = 5_000;
    let flags = [&ALLOW[..], &["--export-schedule-s", "1"]].concat();
    let hub = Hub::start_with(database, &flags).await;
    let table = table(&hub, "t", Value::Null).await;
    add_large_rows(&hub, &table, MANY, 4_000).await;
    let server = S3Server::start().await;
    *server.storage.refuses_from.lock().unwrap() = Some(2);
    let export = export(&hub, &table, &target(&server), json!({"format": "ndjson"})).await;
    let failed = run(&hub, &export, "failed").await;
    let error = failed["error"].as_str().unwrap();
    assert!(
        error.contains("XMinioStorageFull: A test says so."),
        "{error}"
    );
    assert!(server.storage.objects.lock().unwrap().is_empty());
    assert!(
        server.storage.uploads.lock().unwrap().is_empty(),
        "parts are discarded"
    );
    *server.storage.refuses_from.lock().unwrap() = None;
    let done = run(&hub, &export, "succeeded").await;
    assert_eq!(done["file_name"], failed["file_name"]);
    assert_eq!(done["rows"], MANY);
    let objects = server.storage.objects.lock().unwrap().clone();
    let content = objects.first_key_value().unwrap().1;
    assert_eq!(done["bytes"], content.len());
    let lines = std::str::from_utf8(content).unwrap().lines();
    let found: Vec<u64> = lines
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["data"]["n"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(found, (1..=u64::from(MANY)).collect::<Vec<_>>());
}

async fn what_the_server_refuses_is_reported(database: Database) {
    let hub = Hub::start_with(database, &ALLOW).await;
    let table = table(&hub, "t", columns()).await;
    add_rows(&hub, &table, 3, 1).await;
    let server = S3Server::start().await;
    for (number, (member, value, part)) in [
        ("bucket", "missing", "NoSuchBucket"),
        ("secret_access_key", "wrong", "SignatureDoesNotMatch"),
        ("region", "us-east-1", "SignatureDoesNotMatch"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut target = target(&server);
        target[member] = value.into();
        let more = json!({"name": format!("e{number}")});
        let export = export(&hub, &table, &target, more).await;
        let tested = hub.post(&format!("{export}/test"), &json!({})).await.ok();
        let error = tested["error"].as_str().unwrap();
        assert!(error.contains(part), "{error}");
        assert!(!error.contains("Signature="), "{error}");
    }
    let path = format!("{table}/scheduled-exports");
    for (member, value, error) in [
        (
            "endpoint",
            json!("https://s3.example.com/path"),
            "target.endpoint: must have no path",
        ),
        (
            "endpoint",
            json!("http://10.1.2.3"),
            "target.endpoint: the address is not public",
        ),
        ("bucket", json!("no/bucket"), "target.bucket: must"),
        ("region", json!("no region"), "target.region: must"),
        (
            "secret_access_key",
            Value::Null,
            "target.secret_access_key: is required",
        ),
    ] {
        let mut target = target(&server);
        target[member] = value;
        let refused = hub
            .post(&path, &body("bad", &target, json!({})))
            .await
            .refused(400);
        assert!(refused.starts_with(error), "{refused}");
    }
}
