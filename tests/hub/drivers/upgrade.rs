//! Drivers and devices of a database from before versions were called by the digest of all that they
//! hold: everything goes on as it was.

use migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database as Driver};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    drivers::registry::digest_of,
    support::{
        database::{Database, on_both_databases, query_text},
        server::{Connection, Hub},
    },
};

on_both_databases!(empty: what_was_pushed_before_goes_on_working);

/// The schema until then: so many migrations.
const MIGRATIONS_BEFORE: u32 = 9;
const OLD: &str = "function decode() { return { version: 1 } }";
const NEW: &str = "function decode() { return { version: 2, text: 'ü' } }";
const EUI: &str = "AA00000000000001";

async fn what_was_pushed_before_goes_on_working(database: Database) {
    let folder = tempfile::tempdir().unwrap();
    // A hub on SQLite would look for the file in its own folder.
    let (url, flag) = match &database {
        Database::Sqlite => {
            let url = format!("sqlite://{}/old.db?mode=rwc", folder.path().display());
            (url.clone(), format!("--database-url={url}"))
        }
        Database::Postgres(url) => (url.clone(), String::new()),
    };
    fill(&url).await;
    let flags = [flag.as_str()];
    let flags = if flag.is_empty() { &[] } else { &flags[..] };
    let hub = Hub::start_with(database, flags).await;

    let device = hub.get("devices/d").await.ok();
    assert_eq!(device["driver"], "a/b:1");
    let renewed = hub
        .post("network-connections/1/ingest-key", &json!({}))
        .await
        .created();
    let connection = Connection {
        id: 1,
        key: renewed["ingest_key"].as_str().unwrap().to_owned(),
    };
    let decoded = async || {
        hub.uplink(&connection, EUI).await;
        hub.list("devices/d/uplinks").await[0]["data"]["version"].clone()
    };
    assert_eq!(decoded().await, 2);

    let versions = hub.list("drivers/a/b/versions").await;
    let told: Vec<(&Value, &Value, &Value)> = versions
        .iter()
        .map(|one| (&one["digest"], &one["tags"], &one["size_bytes"]))
        .collect();
    assert_eq!(
        told,
        [
            (
                &json!(digest_of(NEW)),
                &json!(["1", "2"]),
                &json!(NEW.len())
            ),
            (&json!(digest_of(OLD)), &json!(["old"]), &json!(OLD.len())),
        ]
    );
    // A push of the same script finds the version that is there.
    hub.push("a/b", "again", NEW).await;
    assert_eq!(hub.list("drivers/a/b/versions").await.len(), 2);
    let history = hub.list("drivers/a/b/tags/1/history").await;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["digest"], digest_of(NEW));
    assert_eq!(history[0]["moved_by"], Value::Null);
    assert_eq!(history[0]["moved_at"], "2026-01-02T03:04:05Z");

    let body = json!({"digest": digest_of(OLD)});
    let rolled_back = hub.put("drivers/a/b/tags/1", &body).await.ok();
    assert_eq!(rolled_back["revision"], 2);
    assert_eq!(decoded().await, 1);
    let error = hub.delete("drivers/a/b/tags/1").await.refused(400);
    assert!(error.contains("1 device(s)"), "{error}");
    let pinned = json!({"id": "e", "driver": format!("a/b@{}", digest_of(NEW))});
    hub.post("devices", &pinned).await.created();
}

/// Writes the rows that a hub of that time would have written: a tenant with its administrator, a device on a tag.
async fn fill(url: &str) {
    let password_hash = {
        let hub = Hub::start(Database::Sqlite).await;
        query_text(&hub.database_url(), "SELECT password_hash FROM users").await
    };
    let connection = Driver::connect(url).await.unwrap();
    Migrator::up(&connection, Some(MIGRATIONS_BEFORE))
        .await
        .unwrap();
    let at = "'2026-01-02 03:04:05+00:00'";
    let digest = |script: &str| hex::encode(Sha256::digest(script));
    let script = |script: &str| format!("'{}'", script.replace('\'', "''"));
    let key_hash = match connection.get_database_backend() {
        sea_orm::DbBackend::Postgres => r"'\x00'",
        _ => "x'00'",
    };
    for statement in [
        format!("INSERT INTO tenants (name, created_at, updated_at) VALUES ('main', {at}, {at})"),
        format!(
            "INSERT INTO users (tenant_id, created_at, updated_at, username, username_folded, \
             full_name, email, country, role, password_hash, is_operator) \
             VALUES (1, {at}, {at}, 'admin', 'admin', '', '', '', 'admin', '{password_hash}', TRUE)"
        ),
        format!(
            "INSERT INTO network_connections (tenant_id, created_at, updated_at, name, kind, \
             settings, enabled, ingest_key_hash) VALUES (1, {at}, {at}, 'tts', \
             'the_things_stack', '{{\"type\": \"the_things_stack\"}}', TRUE, {key_hash})"
        ),
        "INSERT INTO connection_health (tenant_id, connection_id, uplinks, unknown_devices, \
         other_messages, malformed) VALUES (1, 1, 0, 0, 0, 0)"
            .to_owned(),
        format!(
            "INSERT INTO drivers (tenant_id, created_at, updated_at, author, name, description, \
             supports, labels) VALUES (1, {at}, {at}, 'a', 'b', '', '[]', '[]')"
        ),
        format!(
            "INSERT INTO driver_versions (tenant_id, driver_id, digest, script, functions, created_at) \
             VALUES (1, 1, '{}', {}, '[\"decode\"]', {at}), (1, 1, '{}', {}, '[\"decode\"]', {at})",
            digest(OLD),
            script(OLD),
            digest(NEW),
            script(NEW)
        ),
        format!(
            "INSERT INTO driver_tags (tenant_id, driver_id, name, version_id, updated_at) \
             VALUES (1, 1, 'old', 1, {at}), (1, 1, '1', 2, {at}), (1, 1, '2', 2, {at})"
        ),
        format!(
            "INSERT INTO devices (tenant_id, created_at, updated_at, device_id, description, \
             driver, metadata, labels, connections) VALUES (1, {at}, {at}, 'd', '', 'a/b:1', \
             '{{}}', '[]', '[{{\"network_connection_id\": 1, \"network_device_id\": \"{EUI}\"}}]')"
        ),
        format!(
            "INSERT INTO device_connections (tenant_id, device_key, connection_id, network_device_id) \
             VALUES (1, 1, 1, '{EUI}')"
        ),
        "INSERT INTO device_states (tenant_id, device_key, reported, desired) \
         VALUES (1, 1, '{}', '{}')"
            .to_owned(),
    ] {
        connection.execute_unprepared(&statement).await.unwrap();
    }
    connection.close().await.unwrap();
}
