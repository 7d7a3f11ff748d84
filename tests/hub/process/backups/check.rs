//! `thingshub check`: each kind of damage is a line.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
};

use nix::sys::signal::Signal;

use super::{TO_HERE, multiply, restores::furnish};
use crate::support::{
    database::{Database, on_both_databases},
    server::Hub,
};

on_both_databases!(findings_are_lines, a_hub_that_runs_can_be_checked);

async fn findings_are_lines(database: Database) {
    let mut hub = Hub::start_with(database, &TO_HERE).await;
    furnish(&hub).await;
    hub.end(Signal::SIGTERM).await;
    assert_eq!(hub.command(&["check"]).await.unwrap(), "no findings\n");

    hub.sql("UPDATE events SET tenant_id = 77").await;
    hub.sql("UPDATE uplinks SET tenant_id = 77").await;
    let mut findings = vec!["table uplinks: 1 rows whose tenant_id is not in tenants"];
    if matches!(hub.database, Database::Sqlite) {
        hub.sql("PRAGMA foreign_keys = OFF; DELETE FROM network_connections")
            .await;
        hub.sql("UPDATE devices SET metadata = '{'").await;
        findings.push("table devices: metadata is not JSON");
        findings.push("rows whose connection_id is not in network_connections");
    }
    fs::write(hub.file("secret.key"), [7; 32]).unwrap();
    findings.push("secrets: 1 values in integrations.secret that no key in");
    let found = checked(&hub).await;
    for finding in findings {
        assert!(found.contains(finding), "{finding}: {found}");
    }
    fs::remove_file(hub.file("secret.key")).unwrap();
    let found = checked(&hub).await;
    assert!(found.contains("secret.key: No such file"), "{found}");
}

async fn a_hub_that_runs_can_be_checked(database: Database) {
    let hub = Hub::start_with(database, &TO_HERE).await;
    furnish(&hub).await;
    hub.tenant("other").await;
    let tenant = hub.list("tenants").await.pop().unwrap();
    hub.delete(&format!("tenants/{}", tenant["id"])).await.ok();
    hub.delete("devices/d").await.ok();
    assert_eq!(hub.command(&["check"]).await.unwrap(), "no findings\n");
}

/// Returns the output of the command, which must have findings.
async fn checked(hub: &Hub) -> String {
    let place = super::Place {
        folder: tempfile::tempdir().unwrap(),
        database: hub.database.clone(),
    };
    let data = place.folder.path().join("data");
    std::os::unix::fs::symlink(hub.file(""), data).unwrap();
    let checked = place.command(&["check"]).await;
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let count = checked.out.lines().count();
    let said = match count {
        1 => "thingshub: 1 finding\n".to_owned(),
        _ => format!("thingshub: {count} findings\n"),
    };
    assert_eq!(checked.error, said);
    checked.out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_found() {
    let mut hub = Hub::start_with(Database::Sqlite, &TO_HERE).await;
    furnish(&hub).await;
    multiply(&hub, 500).await;
    hub.end(Signal::SIGTERM).await;
    let path = hub.file("thingshub.db");
    let length = path.metadata().unwrap().len();
    let mut file = fs::File::options().write(true).open(&path).unwrap();
    // In the middle of the uplinks, which were written last.
    file.seek(SeekFrom::Start((length - length / 4) & !4095))
        .unwrap();
    file.write_all(&[0xA5; 8192]).unwrap();
    drop(file);
    let found = checked(&hub).await;
    assert!(
        found.contains("file: ") || found.contains("database: "),
        "{found}"
    );
}
