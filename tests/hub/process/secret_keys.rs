//! The keys that secrets are encrypted with: changed under a hub that runs, and given from outside.

use base64::{Engine, engine::general_purpose::STANDARD};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
};

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eventually, sample,
    support::{
        database::{Database, on_both_databases},
        exports,
        s3_server::{BUCKET, KEY_ID, REGION, S3Server, SECRET},
        server::{Answer, Connection, Hub, WithJson},
        sink::Sink,
    },
};

on_both_databases!(
    a_hub_goes_on_while_its_key_is_changed,
    keys_may_come_from_outside,
    a_key_that_is_lost_is_told,
    a_hub_does_not_start_without_the_keys_of_what_is_stored,
    a_lost_key_can_be_given_up,
    a_damaged_secret_is_told_and_is_no_fault_of_the_hub,
    a_changed_key_file_keeps_its_owner_and_mode,
);

const EUI: &str = "AA00000000000001";
const TO_HERE: [&str; 2] = ["--outgoing-allow", "127.0.0.0/8"];

/// A device whose uplinks go to a receiver that demands a secret.
async fn provision(hub: &Hub) -> (Connection, Sink) {
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let sink = integrate(hub, "erp").await;
    (connection, sink)
}

async fn integrate(hub: &Hub, name: &str) -> Sink {
    let sink = Sink::willing().await;
    let integration = json!({"name": name, "selector": "",
        "target": {"type": "http", "url": sink.url, "authorization": "Bearer s3cr3t"}});
    hub.post("integrations", &integration).await.created();
    sink
}

/// Makes a scheduled export to storage that demands a secret; returns the path of its test.
async fn export_to(hub: &Hub, storage: &S3Server) -> String {
    let table = exports::table(hub, "t", Value::Null).await;
    let target = json!({"type": "s3", "endpoint": storage.url, "region": REGION, "bucket": BUCKET,
        "access_key_id": KEY_ID, "secret_access_key": SECRET, "path_style": true});
    let export = exports::export(hub, &table, &target, json!({})).await;
    format!("{export}/test")
}

/// Checks that another uplink reaches the receiver, with the secret.
async fn delivers(hub: &Hub, (connection, sink): &(Connection, Sink)) {
    let before = sink.received().len();
    hub.uplink(connection, EUI).await;
    let message = sink.gets(before + 1).await.remove(before);
    assert_eq!(message.header("authorization"), "Bearer s3cr3t");
}

/// A request that may be repeated; the hub keeps its answer sealed.
async fn repeatable(hub: &Hub) -> Value {
    repeated(hub).await.created()
}

async fn repeated(hub: &Hub) -> Answer {
    let request = hub
        .request(Method::POST, "devices")
        .bearer_auth(&hub.token)
        .header("Idempotency-Key", "once")
        .with_json(&json!({"id": "e"}));
    hub.answer(request).await
}

/// The keys that `status` lists, each with its role and its number of values.
async fn keys(hub: &Hub, more: &[&str]) -> Vec<(String, String)> {
    let said = hub.command(&[&["secrets", "status"], more].concat()).await;
    let said = said.unwrap();
    let line = |line: &str| {
        let (key, rest) = line.strip_prefix("key ").unwrap().split_once(' ').unwrap();
        (key.to_owned(), rest.to_owned())
    };
    said.lines().map(line).collect()
}

async fn a_hub_goes_on_while_its_key_is_changed(database: Database) {
    let mut hub = Hub::start_with(database, &TO_HERE).await;
    let receiver = provision(&hub).await;
    delivers(&hub, &receiver).await;
    let answer = repeatable(&hub).await;
    let storage = S3Server::start().await;
    let test_of_export = export_to(&hub, &storage).await;
    let before = keys(&hub, &[]).await;
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].1, "(current): 3 values");

    let said = hub.command(&["secrets", "rotate"]).await.unwrap();
    for told in [
        "created the key",
        "1 values again: integrations",
        "1 values again: scheduled exports",
        "1 values again: remembered",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let after = keys(&hub, &[]).await;
    assert_eq!(after[0].1, "(current): 3 values");
    assert_ne!(after[0].0, before[0].0);
    assert_eq!(
        after[1],
        (before[0].0.clone(), "(previous): 0 values".into())
    );
    // The hub knew the old key alone until now.
    delivers(&hub, &receiver).await;
    assert_eq!(repeatable(&hub).await, answer);

    // Values that it seals from now on need the new key alone, so the old one can go.
    let again = (hub.connect("more").await, integrate(&hub, "crm").await);
    hub.device("f", &again.0, EUI, json!({})).await;
    let said = hub.command(&["secrets", "forget"]).await.unwrap();
    assert!(
        said.contains(&format!("removed the key {}", before[0].0)),
        "{said}"
    );
    assert_eq!(
        keys(&hub, &[]).await,
        [(after[0].0.clone(), "(current): 4 values".into())]
    );
    delivers(&hub, &again).await;
    hub.end(Signal::SIGTERM).await;
    hub.start_again().await;
    delivers(&hub, &receiver).await;
    let tested = hub.post(&test_of_export, &json!({})).await.ok();
    assert_eq!(tested["error"], Value::Null, "{tested}");
    assert_eq!(repeatable(&hub).await, answer);

    // Once more with the same key: there is nothing to do, and nothing is done.
    let said = hub
        .command(&["secrets", "rotate", "--keep-key"])
        .await
        .unwrap();
    assert!(said.contains("0 values again: integrations"), "{said}");
}

async fn keys_may_come_from_outside(database: Database) {
    let [old, new] = [1, 2].map(|byte| STANDARD.encode([byte; 32]));
    let mut hub = Hub::start_with(
        database,
        &["--outgoing-allow", "127.0.0.0/8", "--secret-key", &old],
    )
    .await;
    let receiver = provision(&hub).await;
    delivers(&hub, &receiver).await;
    hub.end(Signal::SIGTERM).await;

    let both = format!("{new},{old}");
    let flags = [TO_HERE[0], TO_HERE[1], "--secret-key", &both];
    hub.start_again_with(&flags).await;
    delivers(&hub, &receiver).await;
    let known = keys(&hub, &["--secret-key", &both]).await;
    assert_eq!(known[1].1, "(previous): 1 values");
    let said = hub
        .command(&["secrets", "rotate", "--secret-key", &both])
        .await
        .unwrap();
    assert!(!said.contains("created"), "{said}");
    let refused = hub
        .command(&["secrets", "forget", "--secret-key", &both])
        .await;
    assert!(refused.unwrap_err().contains("secret_key"));
    hub.end(Signal::SIGTERM).await;

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{new}\n")).unwrap();
    let path = file.path().to_str().unwrap();
    hub.start_again_with(&[TO_HERE[0], TO_HERE[1], "--secret-key-file", path])
        .await;
    delivers(&hub, &receiver).await;
    let said = hub.log();
    assert!(!said.contains(&old) && !said.contains(&new), "{said}");
}

async fn a_key_that_is_lost_is_told(database: Database) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    provision(&hub).await;
    let other = STANDARD.encode([3; 32]);
    for command in ["status", "rotate"] {
        let said = hub
            .command(&["secrets", command, "--secret-key", &other])
            .await;
        let said = said.unwrap_err();
        assert!(
            said.contains("1 values cannot be decrypted"),
            "{command}: {said}"
        );
    }
    for (setting, value, reason) in [
        (
            "--secret-key",
            "c2hvcnQ=",
            "setting secret_key: key 1 must be 32 bytes",
        ),
        (
            "--secret-key-file",
            "/no/such/file",
            "setting secret_key_file: /no/such/file",
        ),
    ] {
        let said = hub
            .command(&["secrets", "status", setting, value])
            .await
            .unwrap_err();
        assert!(said.contains(reason), "{said}");
    }
}

async fn a_hub_does_not_start_without_the_keys_of_what_is_stored(database: Database) {
    let mut hub = Hub::start_with(database, &TO_HERE).await;
    let receiver = provision(&hub).await;
    repeatable(&hub).await;
    let id = keys(&hub, &[]).await.remove(0).0;
    hub.end(Signal::SIGTERM).await;
    let file = hub.file("secret.key");
    let key = fs::read(&file).unwrap();
    let of_keys = || {
        let entries = fs::read_dir(hub.file("")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name != "tls" && !name.starts_with("thingshub.db"))
            .collect::<Vec<_>>()
    };

    // Lost: no other one is made in its place.
    fs::remove_file(&file).unwrap();
    let said = hub.does_not_start().await;
    for told in [
        id.as_str(),
        "secret.key",
        "1 of integrations",
        "1 of remembered answers",
        "secrets discard",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert_eq!(of_keys(), Vec::<String>::new());
    // Another one, as of another hub's folder.
    fs::write(&file, STANDARD.encode([9; 32])).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let said = hub.does_not_start().await;
    assert!(said.contains(&id) && said.contains("secret.key"), "{said}");
    assert_eq!(
        fs::read(&file).unwrap(),
        STANDARD.encode([9; 32]).as_bytes()
    );

    fs::write(&file, key).unwrap();
    hub.start_again().await;
    delivers(&hub, &receiver).await;
}

async fn a_lost_key_can_be_given_up(database: Database) {
    let mut hub = Hub::start_with(database, &TO_HERE).await;
    let (connection, sink) = provision(&hub).await;
    let integration = hub.list("integrations").await.remove(0);
    let path = format!("integrations/{}", integration["id"]);
    hub.end(Signal::SIGTERM).await;
    fs::remove_file(hub.file("secret.key")).unwrap();
    let said = hub.command(&["secrets", "discard"]).await.unwrap();
    assert!(
        said.contains("1 of integrations") && said.contains("--yes"),
        "{said}"
    );
    hub.does_not_start().await;
    let said = hub.command(&["secrets", "discard", "--yes"]).await.unwrap();
    assert!(said.contains("1 integrations"), "{said}");

    hub.start_again().await;
    hub.uplink(&connection, EUI).await;
    does_not_open(&hub, &path).await;
    assert_eq!(sink.received().len(), 0);
    let body = json!({"name": "erp", "selector": "",
        "target": {"type": "http", "url": sink.url, "authorization": "Bearer s3cr3t"}});
    hub.put(&path, &body).await.ok();
    // The deliveries that have waited go out as well.
    delivers(&hub, &(connection, sink)).await;
    assert_eq!(keys(&hub, &[]).await[0].1, "(current): 1 values");
    let said = hub.command(&["secrets", "discard"]).await.unwrap();
    assert!(said.contains("nothing to discard"), "{said}");
}

/// The integration cannot send, and says why wherever somebody looks.
async fn does_not_open(hub: &Hub, path: &str) {
    let is_told = |text: &Value| text.as_str().is_some_and(|text| text.contains(UNOPENED));
    eventually("its health tells why", async || {
        let found = hub.get(path).await.ok();
        is_told(&found["health"]["last_error"]).then_some(())
    })
    .await;
    let tested = hub.post(&format!("{path}/test"), &json!({})).await.ok();
    assert!(is_told(&tested["error"]), "{tested}");
}

const UNOPENED: &str = "does not open with the keys of this hub";

async fn a_damaged_secret_is_told_and_is_no_fault_of_the_hub(database: Database) {
    let mut hub = Hub::start_with(database, &TO_HERE).await;
    let (tts, sink) = provision(&hub).await;
    let integration = hub.list("integrations").await.remove(0);
    let follow = json!({"name": "follow", "selector": "", "target": {"type": "websocket"}});
    let follow = hub.post("integrations", &follow).await.created();
    let stream = format!("integrations/{}", follow["id"]);
    let made = hub
        .post(&format!("{stream}/key"), &json!({}))
        .await
        .created();
    let stream_key = made["key"].as_str().unwrap().to_owned();
    let as_key = "c6f5e3b263092120b8766b9aed9c41b4";
    let actility = json!({"name": "tp", "settings": {"type": "actility", "as_key": as_key}});
    let actility = hub.connect_as(&actility).await;
    let settings = json!({"settings": {"type": "http", "method": "POST",
        "url": "https://n.example.com", "authorization": "Bearer x"}});
    let downlinks = format!("network-connections/{}/downlink-settings", actility.id);
    hub.put(&downlinks, &settings).await.ok();
    repeatable(&hub).await;
    // One secret stays intact: otherwise the key could be the wrong one.
    integrate(&hub, "whole").await;
    hub.end(Signal::SIGTERM).await;
    for (table, column) in [
        ("integrations", "secret"),
        ("network_connections", "secret"),
        ("downlink_settings", "secret"),
        ("idempotency_keys", "answer"),
    ] {
        let which = match table {
            "integrations" => "WHERE name <> 'whole'",
            _ => "",
        };
        let statement = format!("UPDATE {table} SET {column} = substr({column}, 1, 12) {which}");
        hub.sql(&statement).await;
    }
    hub.start_again().await;

    hub.uplink(&tts, EUI).await;
    does_not_open(&hub, &format!("integrations/{}", integration["id"])).await;
    assert_eq!(sink.received().len(), 0);
    let waiting = hub
        .request(Method::GET, &format!("{stream}/stream"))
        .bearer_auth(&stream_key);
    let status = hub.answer(waiting).await.status;
    assert!(status != 500, "{status}");
    let refused = hub
        .ingest(&actility, sample("actility_thingpark.json"))
        .await;
    assert!(refused.refused(503).contains(UNOPENED));
    let path = format!("network-connections/{}", actility.id);
    let health = &hub.get(&path).await.ok()["health"];
    assert!(
        health["last_error"].as_str().unwrap().contains(UNOPENED),
        "{health}"
    );
    let tested = hub.post(&format!("{path}/test"), &json!({})).await.ok();
    let reason = tested["downlinks"]["reason"].as_str().unwrap();
    assert!(reason.contains(UNOPENED), "{tested}");
    hub.get(&downlinks).await.ok();
    let refused = repeated(&hub).await.refused(400);
    assert!(refused.contains("its answer cannot be read"), "{refused}");
    for path in ["integrations", "network-connections"] {
        hub.get(path).await.ok();
    }
}

async fn a_changed_key_file_keeps_its_owner_and_mode(database: Database) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    let receiver = provision(&hub).await;
    let file = hub.file("secret.key");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    // The file belongs to the hub's own user, while root changes the key.
    if fs::metadata(&file).unwrap().uid() == 0 {
        chown(&file, Some(65_534), Some(65_534)).unwrap();
    }
    let rights = || {
        let found = fs::metadata(&file).unwrap();
        (found.mode() & 0o777, found.uid(), found.gid())
    };
    let before = rights();
    hub.command(&["secrets", "rotate"]).await.unwrap();
    assert_eq!(rights(), before);
    hub.command(&["secrets", "forget"]).await.unwrap();
    assert_eq!(rights(), before);
    delivers(&hub, &receiver).await;
}
