//! The keys that secrets are encrypted with: changed under a hub that runs, and given from outside.

use base64::{Engine, engine::general_purpose::STANDARD};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    database::{Database, on_both_databases},
    server::{Connection, Hub, WithJson},
    sink::Sink,
};

on_both_databases!(
    a_hub_goes_on_while_its_key_is_changed,
    keys_may_come_from_outside,
    a_key_that_is_lost_is_told,
);

const EUI: &str = "AA00000000000001";
const TO_HERE: [&str; 2] = ["--outgoing-allow", "127.0.0.0/8"];

/// A device whose uplinks go to a receiver that wants to be told a secret.
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

/// One uplink more reaches the receiver, with the secret.
async fn delivers(hub: &Hub, (connection, sink): &(Connection, Sink)) {
    let before = sink.received().len();
    hub.uplink(connection, EUI).await;
    let message = sink.gets(before + 1).await.remove(before);
    assert_eq!(message.header("authorization"), "Bearer s3cr3t");
}

/// A request that may be told twice; the hub keeps its answer sealed.
async fn repeatable(hub: &Hub) -> Value {
    let request = hub
        .request(Method::POST, "devices")
        .bearer_auth(&hub.token)
        .header("Idempotency-Key", "once")
        .with_json(&json!({"id": "e"}));
    hub.answer(request).await.created()
}

/// The keys that `status` tells of, each with its role and its number of values.
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
    let before = keys(&hub, &[]).await;
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].1, "(current): 2 values");

    let said = hub.command(&["secrets", "rotate"]).await.unwrap();
    for told in [
        "made the key",
        "1 values again: integrations",
        "1 values again: remembered",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let after = keys(&hub, &[]).await;
    assert_eq!(after[0].1, "(current): 2 values");
    assert_ne!(after[0].0, before[0].0);
    assert_eq!(
        after[1],
        (before[0].0.clone(), "(previous): 0 values".into())
    );
    // The hub knew the old key alone until now.
    delivers(&hub, &receiver).await;
    assert_eq!(repeatable(&hub).await, answer);

    // What it seals from now on needs the new key alone, so the old one can go.
    let again = (hub.connect("more").await, integrate(&hub, "crm").await);
    hub.device("f", &again.0, EUI, json!({})).await;
    let said = hub.command(&["secrets", "forget"]).await.unwrap();
    assert!(
        said.contains(&format!("forgot the key {}", before[0].0)),
        "{said}"
    );
    assert_eq!(
        keys(&hub, &[]).await,
        [(after[0].0.clone(), "(current): 3 values".into())]
    );
    delivers(&hub, &again).await;
    hub.end(Signal::SIGTERM).await;
    hub.start_again().await;
    delivers(&hub, &receiver).await;
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
    assert!(!said.contains("made"), "{said}");
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
            said.contains("1 values open with none"),
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
