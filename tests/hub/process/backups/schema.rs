//! Databases of earlier and later versions.

use migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database as Driver};
use serde_json::json;

use super::{Place, find, with_the_other};
use crate::support::{
    database::{Database, execute, on_both_databases, query_text},
    server::Hub,
};

on_both_databases!(
    empty:
    a_database_of_a_newer_version_is_refused,
    a_plan_changes_nothing,
    every_step_keeps_the_data,
    a_backup_of_an_earlier_schema_is_restored,
);

/// The first schema with devices, uplinks and deliveries.
const FIRST: u32 = 9;

async fn a_database_of_a_newer_version_is_refused(database: Database) {
    let place = Place::new(database);
    place.command(&["migrate"]).await.ok();
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)";
    execute(&place.url(), newer).await;
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let file = place.file("backup");
    let backup = ["backup", file.to_str().unwrap()];
    for command in [
        &serve[..],
        &["migrate"],
        &["migrate", "--plan"],
        &backup,
        &["secrets", "status"],
    ] {
        let refused = place.command(command).await.refused();
        for part in ["a newer version of thingshub", "m9999_future"] {
            assert!(refused.contains(part), "{command:?}: {refused}");
        }
    }
    assert!(!file.exists());
}

async fn a_plan_changes_nothing(database: Database) {
    let place = Place::new(database);
    let plan = async || place.command(&["migrate", "--plan"]).await.ok();
    let all = plan().await;
    let known: Vec<String> = Migrator::migrations()
        .iter()
        .map(|one| one.name().to_owned())
        .collect();
    assert_eq!(all.lines().collect::<Vec<_>>(), known);
    assert!(!place.file("").exists());

    fill(&place).await;
    let rest = known[FIRST as usize..].join("\n") + "\n";
    assert_eq!(plan().await, rest);
    assert_eq!(plan().await, rest);
    // A command that needs the current schema does not change it either.
    let refused = place.command(&["secrets", "status"]).await.refused();
    assert!(
        refused.contains("run `thingshub migrate` first"),
        "{refused}"
    );
    assert_eq!(plan().await, rest);
    place.command(&["migrate"]).await.ok();
    let none = plan().await;
    assert!(
        none.ends_with(" has the current schema: no migration would run\n"),
        "{none}"
    );
    // A command without settings works on a file that nobody may have meant.
    let names_file = none.starts_with("the database in ") && none.contains("thingshub.db ");
    assert_eq!(names_file, place.url().starts_with("sqlite:"), "{none}");
}

async fn every_step_keeps_the_data(database: Database) {
    let place = Place::new(database);
    fill(&place).await;
    let count = Migrator::migrations().len();
    for level in FIRST as usize..=count {
        let checked = place.command(&["check"]).await;
        let left = count - level;
        match left {
            0 => assert_eq!(checked.ok(), "no findings\n"),
            _ => {
                let pending = format!("schema: {left} migrations have not run");
                assert!(checked.out.starts_with(&pending), "{checked:?}");
                assert_eq!(checked.out.lines().count(), 1, "{checked:?}");
            }
        }
        let kept = find(&place.url(), "SELECT body FROM deliveries").await;
        assert_eq!(kept.as_deref(), Some("{\"n\":1}"), "{level}");
        let connection = Driver::connect(place.url()).await.unwrap();
        Migrator::up(&connection, Some(1)).await.unwrap();
        connection.close().await.unwrap();
    }
    goes_on(place).await;
}

async fn a_backup_of_an_earlier_schema_is_restored(database: Database) {
    let place = Place::new(database.clone());
    fill(&place).await;
    let file = place.file("backup");
    let path = file.to_str().unwrap();
    place.command(&["backup", path]).await.ok();
    with_the_other(&database, async |target| {
        let other = Place::new(target);
        // A target that has the current schema is empty as well.
        other.command(&["migrate"]).await.ok();
        other.command(&["restore", path]).await.ok();
        assert_eq!(other.command(&["check"]).await.ok(), "no findings\n");
        goes_on(other).await;
    })
    .await;
}

/// Checks that a hub has the data.
async fn goes_on(place: Place) {
    // The data is older than what a hub keeps by default.
    let flags = ["--uplink-keep-days", "0"];
    let hub = Hub::start_at(place.folder, place.database, &flags, &[]).await;
    let device = hub.get("devices/d").await.ok();
    assert_eq!(device["metadata"], json!({"b": 1.5, "a": [null, true]}));
    let uplinks = hub.list("devices/d/uplinks").await;
    assert_eq!(uplinks.len(), 1);
    assert_eq!(uplinks[0]["data"], json!({"t": 21.5}));
    assert_eq!(hub.get("integrations/1").await.ok()["name"], "erp");
}

/// Makes a database of the first schema with data in it.
async fn fill(place: &Place) {
    let password_hash = {
        let hub = Hub::start(Database::Sqlite).await;
        query_text(&hub.database_url(), "SELECT password_hash FROM users").await
    };
    place.make_folder();
    let mut url = place.url();
    if let Database::Sqlite = place.database {
        url.push_str("?mode=rwc");
    }
    let connection = Driver::connect(&url).await.unwrap();
    Migrator::up(&connection, Some(FIRST)).await.unwrap();
    let id = |number: u8| match place.database {
        Database::Sqlite => format!("x'{:032x}'", number),
        Database::Postgres(_) => format!("'{}'", uuid(number)),
    };
    let bytes = |byte: u8| match place.database {
        Database::Sqlite => format!("x'{}'", format!("{byte:02x}").repeat(32)),
        Database::Postgres(_) => format!("'\\x{}'", format!("{byte:02x}").repeat(32)),
    };
    let at = "'2026-01-02T03:04:05.678901+00:00'";
    let (times, one, two) = (format!("{at}, {at}"), id(1), id(2));
    let key = bytes(3);
    for statement in [
        format!(
            "INSERT INTO tenants (id, name, created_at, updated_at) VALUES (1, 'first', {times})"
        ),
        format!(
            "INSERT INTO users (tenant_id, id, created_at, updated_at, username, username_folded, full_name, email, \
             country, role, password_hash, is_operator) VALUES (1, 1, {times}, 'admin', 'admin', '', '', '', \
             'admin', '{password_hash}', TRUE)"
        ),
        format!(
            "INSERT INTO network_connections (tenant_id, id, created_at, updated_at, name, kind, settings, enabled, \
             ingest_key_hash) VALUES (1, 1, {times}, 'tts', 'the_things_stack', \
             '{{\"type\":\"the_things_stack\"}}', TRUE, {key})"
        ),
        "INSERT INTO connection_health (tenant_id, connection_id, uplinks, unknown_devices, other_messages, \
         malformed) VALUES (1, 1, 1, 0, 0, 0)"
            .to_owned(),
        format!(
            "INSERT INTO devices (tenant_id, id, created_at, updated_at, device_id, description, metadata, labels, \
             connections) VALUES (1, 1, {times}, 'd', '', '{{\"b\":1.5,\"a\":[null,true]}}', '[]', '[]')"
        ),
        "INSERT INTO device_states (tenant_id, device_key, reported, desired) VALUES (1, 1, '{}', '{}')".to_owned(),
        format!(
            "INSERT INTO uplinks (tenant_id, id, device_key, connection_id, received_at, ts, f_port, f_cnt, raw, \
             radio, data) VALUES (1, {one}, 1, 1, {times}, 1, 4294967295, {key}, '{{}}', '{{\"t\":21.5}}')"
        ),
        format!(
            "INSERT INTO integrations (tenant_id, id, created_at, updated_at, name, description, selector, enabled, \
             kind, settings) VALUES (1, 1, {times}, 'erp', '', '', FALSE, 'http', \
             '{{\"type\":\"http\",\"url\":\"https://127.0.0.1:1/\"}}')"
        ),
        format!(
            "INSERT INTO deliveries (tenant_id, id, integration_id, device_id, uplink_id, state, attempt, body, \
             created_at, updated_at) VALUES (1, {two}, 1, 'd', {one}, 'delivered', 1, '{{\"n\":1}}', {times})"
        ),
        format!(
            "INSERT INTO delivery_attempts (tenant_id, delivery_id, attempt, at, duration_ms) \
             VALUES (1, {two}, 1, {at}, 5)"
        ),
    ] {
        let inserted = connection.execute_unprepared(&statement).await;
        inserted.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    if let Database::Postgres(_) = place.database {
        for table in [
            "tenants",
            "users",
            "network_connections",
            "devices",
            "integrations",
        ] {
            let statement = format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1)");
            connection.execute_unprepared(&statement).await.unwrap();
        }
    }
    connection.close().await.unwrap();
}

fn uuid(number: u8) -> String {
    format!("00000000-0000-0000-0000-{number:012x}")
}
