//! The process: how it starts, how it ends, and what it has acknowledged by then.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{
    database::{Database, execute, on_both_databases, query_text},
    server::{Hub, program},
    sink::{Cue, Sink},
};

on_both_databases!(
    what_is_acknowledged_survives_a_kill,
    a_delivery_survives_a_kill,
    it_ends_when_told,
);

const EUI: &str = "AA00000000000001";

async fn what_is_acknowledged_survives_a_kill(database: Database) {
    let mut hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode(p) { return { n: p[0] } }")
        .await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    let table = hub
        .post("data-tables", &json!({"name": "t", "selector": ""}))
        .await
        .created();
    let mut acknowledged = Vec::new();
    for _ in 0..5 {
        acknowledged.push(hub.uplink(&connection, EUI).await);
    }
    hub.end(Signal::SIGKILL).await;
    hub.start_again().await;

    // The session, too, outlives the process.
    let mut uplinks = hub.list("devices/d/uplinks").await;
    uplinks.reverse();
    let found: Vec<&str> = uplinks
        .iter()
        .map(|uplink| uplink["id"].as_str().unwrap())
        .collect();
    assert_eq!(found, acknowledged);
    let rows = hub.list(&format!("data-tables/{}/rows", table["id"])).await;
    assert_eq!(rows.len(), 5);
    let device = hub.get("devices/d").await.ok();
    assert_eq!(device["state"]["reported"], json!({"n": 1}));
    let connection_view = hub
        .get(&format!("network-connections/{}", connection.id))
        .await
        .ok();
    assert_eq!(connection_view["health"]["uplinks"], 5);
    hub.uplink(&connection, EUI).await;
}

async fn a_delivery_survives_a_kill(database: Database) {
    let flags = [
        "--outgoing-allow",
        "127.0.0.0/8",
        "--delivery-timeout-s",
        "2",
    ];
    let mut hub = Hub::start_with(database, &flags).await;
    let sink = Sink::start(&[Cue::Hang], Cue::Status(200)).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    hub.integration("erp", "", &sink.url).await;
    hub.uplink(&connection, EUI).await;
    let first = sink.gets(1).await.remove(0);
    hub.end(Signal::SIGKILL).await;
    hub.start_again().await;
    let second = sink.gets(2).await.remove(1);
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
    assert_eq!(second.body, first.body);
}

async fn it_ends_when_told(database: Database) {
    let mut hub = Hub::start(database).await;
    for (turn, signal) in [(1, Signal::SIGTERM), (2, Signal::SIGINT)] {
        hub.post("devices", &json!({})).await.created();
        let status = hub.end(signal).await;
        assert!(status.success(), "{signal}: {status}");
        let log = hub.log();
        let stops = log.lines().filter(|line| line.ends_with(" stopped"));
        assert_eq!(stops.count(), turn, "{log}");
        hub.start_again().await;
    }
    assert_eq!(hub.list("devices").await.len(), 2);
}

/// Statistics of a file's tables are true when SQLite counts, and mislead it later. The hub's own never change.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_keeps_no_statistics_of_its_rows() {
    let mut hub = Hub::start(Database::Sqlite).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, "AA00000000000001", json!({}))
        .await;
    for _ in 0..100 {
        hub.uplink(&connection, "AA00000000000001").await;
    }
    let url = hub.database_url();
    let of_rows = "SELECT CAST(count(*) AS TEXT) FROM sqlite_stat1 WHERE stat NOT LIKE '1048576 % noskipscan'";
    let of_devices = "SELECT CAST(count(*) AS TEXT) FROM sqlite_stat1 WHERE tbl = 'devices'";
    hub.end(Signal::SIGTERM).await;
    assert_eq!(query_text(&url, of_rows).await, "0", "after the end");
    assert_ne!(query_text(&url, of_devices).await, "0", "after the end");
    execute(&url, "ANALYZE").await;
    assert_ne!(query_text(&url, of_rows).await, "0", "by hand");
    hub.start_again().await;
    assert_eq!(query_text(&url, of_rows).await, "0", "after the start");
    assert_ne!(query_text(&url, of_devices).await, "0", "after the start");
}

#[tokio::test]
async fn a_wrong_setting_stops_the_start_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let file = file.to_str().unwrap();
    for (setting, value) in [
        ("listen", "nowhere"),
        ("listen", "192.0.2.1:1"),
        ("session_hours", "0"),
        ("session_hours", "-1"),
        ("delivery_keep_hours", "4000000000"),
        ("delivery_queue_max", "0"),
        ("delivery_wait_max_hours", "0"),
        ("connections_max", "18446744073709551615"),
        ("driver_workers", "many"),
        ("outgoing_allow", "10.0.0.0/8,x"),
        ("cors_origins", "https://app.example.com,*"),
        ("cors_origins", "https://app.example.com/"),
        ("delivery_schedule_s", "1,x"),
        ("trusted_proxies", "127.0.0.1,proxy.example.com"),
        ("admin_password", "short"),
        ("admin_password", "password1234"),
        ("database_url", "mysql://hub"),
        ("database_url", "sqlite:///no/such/folder/hub.db"),
        ("public_url", "http://hub"),
        ("log_format", "xml"),
        ("log_filter", "=nonsense="),
        ("tls_cert", file),
        ("data_dir", file),
    ] {
        let mut command = program();
        command
            .arg("serve")
            .env("THINGSHUB_DATA_DIR", folder.path().join("data"))
            .env("THINGSHUB_LISTEN", "127.0.0.1:0")
            .env(format!("THINGSHUB_{}", setting.to_uppercase()), value);
        let output = tokio::time::timeout(std::time::Duration::from_secs(40), command.output());
        let output = output.await.expect("it ends").unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{setting}={value}: {said}");
        let told: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("thingshub: "))
            .collect();
        assert_eq!(
            (told.len(), said.lines().count()),
            (1, 1),
            "{setting}={value}: {said}"
        );
        assert!(told[0].contains(setting), "{setting}={value}: {said}");
        assert!(output.stdout.is_empty(), "{setting}={value}");
    }
}
