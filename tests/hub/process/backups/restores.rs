//! A restored hub goes on as the one that was backed up.

use std::{
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Place, TO_HERE, find, uplinks, with_another, with_the_other};
use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases, query_texts},
        server::{Connection, Hub},
        sink::Sink,
    },
};

on_both_databases!(
    a_restored_hub_goes_on,
    a_backup_under_load_has_all_that_was_acknowledged,
    without_its_keys_a_restored_hub_is_refused,
);

const EUI: &str = "AA00000000000001";

/// A device with an uplink that a receiver got with a secret, and values of every type.
pub async fn furnish(hub: &Hub) -> (Connection, Sink) {
    let connection = hub.connect("tts").await;
    hub.push(
        "a/b",
        "1",
        "function decode(p) { return { size: p.length, part: 1.50, big: 1e16, no: -0.0 } }",
    )
    .await;
    let metadata = json!({"z": 1, "a": {"ü": [1, 2.5, null, true], "e": "\u{1f600}"}});
    let more =
        json!({"driver": "a/b:1", "name": "Ünï", "metadata": metadata, "labels": ["b", "a=1"]});
    hub.device("d", &connection, EUI, more).await;
    hub.post("data-tables", &json!({"name": "all", "selector": ""}))
        .await
        .created();
    let sink = Sink::willing().await;
    let target = json!({"type": "http", "url": sink.url, "authorization": "Bearer s3cr3t"});
    let integration = json!({"name": "erp", "selector": "", "target": target});
    hub.post("integrations", &integration).await.created();
    hub.uplink(&connection, EUI).await;
    sink.gets(1).await;
    // The attempt is stored some time after it was made.
    eventually("the delivery is settled", async || {
        let state = find(&hub.database_url(), "SELECT state FROM deliveries").await;
        (state.as_deref() == Some("delivered")).then_some(())
    })
    .await;
    (connection, sink)
}

/// Returns the data as clients see them.
pub async fn seen(hub: &Hub) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in [
        "devices/d",
        "devices/d/uplinks",
        "drivers",
        "integrations",
        "network-connections",
        "data-tables",
        "data-tables/1/rows",
        "users",
    ] {
        let mut body = hub.get(path).await.ok();
        // The login of the test itself.
        if path == "users" {
            body["collection"][0]["last_login_at"] = Value::Null;
            body["collection"][0]["updated_at"] = Value::Null;
        }
        seen.push(body);
    }
    seen
}

/// Checks that another uplink reaches the receiver, with the secret.
pub async fn delivers(hub: &Hub, connection: &Connection, sink: &Sink) {
    let before = sink.received().len();
    hub.uplink(connection, EUI).await;
    let message = sink.gets(before + 1).await.remove(before);
    assert_eq!(message.header("authorization"), "Bearer s3cr3t");
}

async fn a_restored_hub_goes_on(database: Database) {
    let hub = Hub::start_with(database.clone(), &TO_HERE).await;
    let (connection, sink) = furnish(&hub).await;
    // The number of a deleted resource is not given again.
    let deleted = hub.integration("gone", "", &sink.url).await;
    hub.delete(&format!("integrations/{deleted}")).await.ok();
    let before = seen(&hub).await;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.backup");
    let path = file.to_str().unwrap();
    let said = hub.command(&["backup", path, "--with-keys"]).await.unwrap();
    assert!(said.contains("rows of"), "{said}");
    let mode = file.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    let go_on = async |target: Database| {
        let place = Place::new(target);
        let said = place.command(&["restore", path]).await.ok();
        assert!(said.contains("created the file of keys"), "{said}");
        let key = place.file("secret.key").metadata().unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
        assert_eq!(place.command(&["check"]).await.ok(), "no findings\n");
        let refused = place.command(&["restore", path]).await.refused();
        assert!(refused.contains("the database has data"), "{refused}");

        let restored = place.hub().await;
        assert_eq!(seen(&restored).await, before);
        delivers(&restored, &connection, &sink).await;
        let next = restored.integration("next", "", &sink.url).await;
        assert_eq!(next, deleted + 1);
    };
    with_another(&database, &go_on).await;
    with_the_other(&database, &go_on).await;
    // The hub that was backed up has noticed nothing.
    delivers(&hub, &connection, &sink).await;
}

async fn a_backup_under_load_has_all_that_was_acknowledged(database: Database) {
    let hub = Arc::new(Hub::start(database.clone()).await);
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    let (acknowledged, is_over) = (
        Arc::new(Mutex::new(Vec::new())),
        Arc::new(AtomicBool::new(false)),
    );
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let (hub, connection) = (hub.clone(), connection.clone());
            let (acknowledged, is_over) = (acknowledged.clone(), is_over.clone());
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let id = hub.uplink(&connection, EUI).await;
                    acknowledged.lock().unwrap().push(id);
                }
            })
        })
        .collect();
    let count = || acknowledged.lock().unwrap().len();
    eventually("uplinks are stored", async || (count() >= 20).then_some(())).await;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.backup");
    let path = file.to_str().unwrap();
    let before = acknowledged.lock().unwrap().clone();
    hub.command(&["backup", path]).await.unwrap();
    let during = count();
    eventually("uplinks go on", async || (count() > during).then_some(())).await;
    is_over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }

    with_another(&database, async |target| {
        let place = Place::new(target);
        place.command(&["restore", path]).await.ok();
        let query = match &place.database {
            Database::Sqlite => "SELECT lower(hex(id)) AS id FROM uplinks",
            Database::Postgres(_) => "SELECT replace(id::text, '-', '') AS id FROM uplinks",
        };
        let restored = query_texts(&place.url(), query, "id").await;
        for id in &before {
            assert!(restored.contains(&id.replace('-', "")), "{id}");
        }
        let all = acknowledged.lock().unwrap().len();
        assert!(restored.len() <= all, "{} {all}", restored.len());
    })
    .await;
}

async fn without_its_keys_a_restored_hub_is_refused(database: Database) {
    let mut hub = Hub::start_with(database.clone(), &TO_HERE).await;
    let (connection, sink) = furnish(&hub).await;
    let stored = uplinks(&hub.database_url()).await;
    hub.end(Signal::SIGTERM).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.backup");
    let path = file.to_str().unwrap();
    hub.command(&["backup", path]).await.unwrap();

    with_another(&database, async |target| {
        let place = Place::new(target);
        let restored = place.command(&["restore", path]).await;
        assert!(restored.error.contains("secret.key"), "{restored:?}");
        restored.ok();
        assert_eq!(uplinks(&place.url()).await, stored);
        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let refused = place.command(&serve).await.refused();
        assert!(refused.contains("which is not in"), "{refused}");
        let checked = place.command(&["check"]).await;
        assert_eq!(checked.code, Some(1), "{checked:?}");
        let finding = "secrets: 1 values in integrations.secret that no key";
        assert!(checked.out.contains(finding), "{checked:?}");

        // With the key, which was kept elsewhere, it goes on.
        std::fs::copy(hub.file("secret.key"), place.file("secret.key")).unwrap();
        delivers(&place.hub().await, &connection, &sink).await;
    })
    .await;
}
