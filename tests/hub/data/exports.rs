//! Scheduled exports: the rows of each run, what survives failures and kills, and the folder as the simplest target.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases, on_postgres},
        exports::{
            add_row, add_rows, body, export, hub_with_folder as hub_with, latest, make_due,
            numbers, reached, run, send_again, table,
        },
        metrics::metric,
        server::Hub,
    },
};

on_both_databases!(
    each_run_has_the_rows_since_the_last_one,
    no_row_is_missed_or_repeated_while_devices_send,
    a_run_goes_on_after_its_hub_was_killed,
    a_failed_run_keeps_its_rows_for_the_next,
    a_disabled_export_begins_no_runs,
    missed_times_make_one_run,
    times_are_those_of_the_zone,
    a_deleted_table_takes_its_exports_along,
    a_test_says_what_is_wrong,
);

const EUI: &str = "AA00000000000001";
/// Driver that returns the number in the first two bytes.
const SCRIPT: &str = "function decode(b) { return {n: b[0] * 256 + b[1]}; }";

fn columns() -> Value {
    json!([{"path": "n", "type": "number"}])
}

fn target() -> Value {
    json!({"type": "folder", "folder": "erp"})
}

/// Files of the first tenant's folder, by name.
fn files(folder: &TempDir) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(folder.path().join("tenant-1/erp")) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

async fn each_run_has_the_rows_since_the_last_one(database: Database) {
    let (hub, folder) = hub_with(database, &[]).await;
    let table = table(&hub, "Klima/../<b>", columns()).await;
    let other = crate::support::exports::table(&hub, "other", columns()).await;
    add_rows(&hub, &table, 3, 2500).await;
    add_rows(&hub, &other, 2, 10).await;
    let export = export(&hub, &table, &target(), json!({})).await;
    let first = run(&hub, &export, "succeeded").await;
    assert_eq!(first["rows"], 2500, "{first}");
    assert_eq!(first["attempts"], 1);
    assert_eq!(first["cause"], "request");
    assert_eq!(first["recorded_from"], Value::Null);
    let found = files(&folder);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(name(&found[0]), first["file_name"]);
    assert!(name(&found[0]).starts_with("Klima-b_start_"), "{found:?}");
    let content = fs::read(&found[0]).unwrap();
    assert_eq!(first["bytes"], content.len());
    assert_eq!(numbers(&content), (1..=2500).collect::<Vec<_>>());

    let second = run(&hub, &export, "empty").await;
    assert_eq!(second["recorded_from"], first["recorded_to"]);
    assert_eq!(files(&folder).len(), 1);
    let view = hub.get(&export).await.ok();
    assert_eq!(view["last_success_at"], second["finished_at"]);
    assert!(
        view["next_run_at"]
            .as_str()
            .unwrap()
            .ends_with("T00:00:00Z")
    );
    // A request with a key begins one run.
    let path = format!("{export}/runs");
    for _ in 0..2 {
        let request = hub.request(reqwest::Method::POST, &path);
        let request = request
            .header("Idempotency-Key", "once")
            .bearer_auth(&hub.token);
        let answer = hub.answer(request).await;
        assert_eq!(answer.headers["location"], format!("/api/v3/{path}/3"));
        assert_eq!(answer.created()["number"], 3);
    }
    assert_eq!(hub.get(&format!("{path}/3")).await.ok()["number"], 3);
    for missing in ["4", "9007199254740991"] {
        let message = hub.get(&format!("{path}/{missing}")).await.refused(404);
        assert_eq!(message, format!("there is no run \"{missing}\""));
    }
    reached(&hub, &export, 3, "empty").await;
    let attempts =
        |outcome: &str| format!("thingshub_export_attempts_total{{outcome=\"{outcome}\"}}");
    for (series, expected) in [
        (attempts("succeeded"), json!(1.0)),
        (attempts("empty"), json!(2.0)),
        (attempts("retry"), json!(0.0)),
        (attempts("failed"), json!(0.0)),
        ("thingshub_export_rows_total".to_owned(), json!(2500.0)),
        (
            "thingshub_export_bytes_total".to_owned(),
            json!(content.len() as f64),
        ),
    ] {
        assert_eq!(
            metric(&hub, &hub.token, &series).await,
            expected,
            "{series}"
        );
    }
    for (state, expected) in [("empty", json!([3, 2])), ("succeeded", json!([1]))] {
        let found = hub.list(&format!("{path}?state={state}")).await;
        let numbers: Vec<_> = found.iter().map(|run| &run["number"]).collect();
        assert_eq!(json!(numbers), expected, "{state}");
    }
    let entry = hub
        .list("audit-log?action=create_export_run")
        .await
        .remove(0);
    assert_eq!(entry["resource"], "scheduled-exports");
}

/// Sends uplinks with these numbers.
async fn send(
    hub: &Hub,
    connection: &crate::support::server::Connection,
    numbers: std::ops::Range<u16>,
) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    for number in numbers {
        let message = json!({
            "end_device_ids": {"device_id": "d", "dev_eui": EUI, "dev_addr": "00000001"},
            "uplink_message": {"f_cnt": crate::support::server::next_frame(), "f_port": 5,
                // All of them are late.
                "received_at": "2026-01-31T12:00:00Z", "frm_payload": STANDARD.encode(number.to_be_bytes())},
        });
        let receipt = hub.ingest(connection, message.to_string()).await.ok();
        assert_eq!(receipt["status"], "recorded", "{receipt}");
    }
}

async fn no_row_is_missed_or_repeated_while_devices_send(database: Database) {
    const MANY: u16 = 240;
    let (hub, folder) = hub_with(database, &[]).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", SCRIPT).await;
    let more = json!({"driver": "a/b:1", "labels": ["kept"]});
    hub.device("d", &connection, EUI, more).await;
    let table = table(&hub, "t", columns()).await;
    let export = export(&hub, &table, &target(), json!({})).await;
    let sending = async {
        let parts = [0..MANY / 3, MANY / 3..2 * MANY / 3, 2 * MANY / 3..MANY];
        let [one, two, three] = parts.map(|numbers| send(&hub, &connection, numbers));
        tokio::join!(one, two, three);
    };
    let exporting = eventually("all rows are exported", async || {
        let begun = hub.post(&format!("{export}/runs"), &json!({})).await;
        let number = begun.created()["number"].as_u64().unwrap();
        eventually("the run ends", async || {
            let runs = latest(&hub, &export).await;
            let ended = |run: &Value| run["state"] == "succeeded" || run["state"] == "empty";
            runs.into_iter()
                .find(|run| run["number"] == number)
                .filter(ended)
        })
        .await;
        let files = files(&folder);
        let rows: usize = files
            .iter()
            .map(|file| numbers(&fs::read(file).unwrap()).len())
            .sum();
        (rows >= usize::from(MANY)).then_some(())
    });
    tokio::join!(sending, exporting);
    let found = files(&folder);
    let all = found
        .iter()
        .flat_map(|file| numbers(&fs::read(file).unwrap()));
    let all: Vec<u32> = all.collect();
    let each: BTreeSet<u32> = all.iter().copied().collect();
    assert_eq!(all.len(), usize::from(MANY));
    assert_eq!(each, (0..u32::from(MANY)).collect());
}

async fn a_run_goes_on_after_its_hub_was_killed(database: Database) {
    const MANY: u32 = 60_000;
    let (mut hub, folder) = hub_with(database, &[]).await;
    let table = table(&hub, "t", columns()).await;
    add_rows(&hub, &table, 3, MANY).await;
    let export = export(&hub, &table, &target(), json!({})).await;
    let begun = hub
        .post(&format!("{export}/runs"), &json!({}))
        .await
        .created();
    eventually("a part of the file is there", async || {
        let found = files(&folder);
        let part = found.iter().find(|path| name(path).ends_with(".part"))?;
        (fs::metadata(part).ok()?.len() > 0).then_some(())
    })
    .await;
    hub.end(Signal::SIGKILL).await;
    let found = files(&folder);
    assert!(
        found.iter().all(|path| name(path).ends_with(".part")),
        "{found:?}"
    );
    hub.start_again().await;
    let run = reached(&hub, &export, 1, "succeeded").await;
    assert_eq!(run["attempts"], 2, "{run}");
    assert_eq!(run["file_name"], begun["file_name"]);
    assert_eq!(run["recorded_to"], begun["recorded_to"]);
    let found = files(&folder);
    assert_eq!(found.len(), 1, "{found:?}");
    let content = fs::read(&found[0]).unwrap();
    assert_eq!(numbers(&content), (1..=MANY).collect::<Vec<_>>());

    // The hub ends between the naming of the file and the note of it.
    hub.sql("UPDATE export_runs SET state = 'running', finished_at = NULL, due_at = created_at")
        .await;
    hub.sql("UPDATE scheduled_exports SET position = NULL")
        .await;
    let again = reached(&hub, &export, 1, "succeeded").await;
    assert_eq!(again["attempts"], 3);
    assert_eq!(again["rows"], MANY);
    assert_eq!(files(&folder).len(), 1);
    assert_eq!(fs::read(&found[0]).unwrap(), content);
    // Another file of the same name is never replaced.
    send_again(&hub).await;
    let waiting = reached(&hub, &export, 1, "waiting").await;
    let error = waiting["error"].as_str().unwrap();
    assert!(
        error.contains("already, which is not of this run"),
        "{error}"
    );
}

async fn a_failed_run_keeps_its_rows_for_the_next(database: Database) {
    let (hub, folder) = hub_with(database, &["--export-schedule-s", "1,1"]).await;
    let table = table(&hub, "t", columns()).await;
    add_rows(&hub, &table, 5, 30).await;
    let export = export(&hub, &table, &target(), json!({})).await;
    let tenant = folder.path().join("tenant-1");
    fs::write(&tenant, "in the folder's place").unwrap();
    make_due(&hub).await;
    let failed = reached(&hub, &export, 1, "failed").await;
    assert_eq!(failed["attempts"], 3);
    assert_eq!(failed["cause"], "schedule");
    assert!(
        failed["started_at"].as_str() < failed["updated_at"].as_str(),
        "{failed}"
    );
    assert_eq!(failed["next_attempt_at"], Value::Null);
    let error = failed["error"].as_str().unwrap();
    assert!(error.starts_with("looking for the file: "), "{error}");
    for (outcome, expected) in [("retry", 2.0), ("failed", 1.0), ("succeeded", 0.0)] {
        let series = format!("thingshub_export_attempts_total{{outcome=\"{outcome}\"}}");
        assert_eq!(
            metric(&hub, &hub.token, &series).await,
            expected,
            "{outcome}"
        );
    }
    let next = hub.get(&export).await.ok()["next_run_at"].clone();
    assert!(next.as_str() > failed["updated_at"].as_str(), "{next}");

    fs::remove_file(&tenant).unwrap();
    // Recorded after the bound of the first run.
    let recorded_at = thingshub::clock::now().timestamp_millis();
    add_row(&hub, &table, recorded_at).await;
    make_due(&hub).await;
    let revived = reached(&hub, &export, 1, "succeeded").await;
    assert_eq!(revived["file_name"], failed["file_name"]);
    assert_eq!(revived["rows"], 30);
    assert_eq!(revived["error"], Value::Null);
    // The next run begins at once, as its time has come. The row since then is in it, or in a later one.
    let second = eventually("the next run ends", async || {
        let runs = latest(&hub, &export).await;
        let is_over = |run: &Value| run["state"] == "succeeded" || run["state"] == "empty";
        runs.into_iter()
            .find(|run| run["number"] == 2 && is_over(run))
    })
    .await;
    assert_eq!(second["cause"], "schedule");
    eventually("the later row is exported", async || {
        make_due(&hub).await;
        let runs = hub.list(&format!("{export}/runs?state=succeeded")).await;
        runs.into_iter()
            .find(|run| run["number"] != 1 && run["rows"] == 1)
    })
    .await;
    assert_eq!(files(&folder).len(), 2);
}

async fn a_disabled_export_begins_no_runs(database: Database) {
    let (hub, folder) = hub_with(database, &[]).await;
    let table = table(&hub, "t", columns()).await;
    add_rows(&hub, &table, 5, 3).await;
    let off = json!({"enabled": false});
    let path = export(&hub, &table, &target(), off.clone()).await;
    assert_eq!(hub.get(&path).await.ok()["next_run_at"], Value::Null);
    let listed = hub
        .list(&format!("{table}/scheduled-exports?enabled=false&q=E"))
        .await;
    assert_eq!(listed.len(), 1);
    assert!(
        hub.list(&format!("{table}/scheduled-exports?enabled=true"))
            .await
            .is_empty()
    );
    // A run can be begun nevertheless.
    run(&hub, &path, "succeeded").await;
    assert_eq!(files(&folder).len(), 1);
    let on = body("e", &target(), json!({"schedule": "*/5 * * * *"}));
    let updated = hub.put(&path, &on).await.ok();
    assert!(updated["next_run_at"].is_string(), "{updated}");
    assert_eq!(updated["revision"], 2);
    let off = body("e", &target(), off);
    assert_eq!(hub.put(&path, &off).await.ok()["next_run_at"], Value::Null);
    // Without the rows that exist.
    let new = json!({"include_existing_rows": false, "name": "new"});
    let new = export(&hub, &table, &target(), new).await;
    run(&hub, &new, "empty").await;
    // Each has runs of its own.
    run(&hub, &path, "empty").await;
    assert_eq!(
        hub.get(&format!("{new}/runs/1")).await.ok()["state"],
        "empty"
    );
    hub.get(&format!("{new}/runs/2")).await.refused(404);
}

async fn missed_times_make_one_run(database: Database) {
    let (hub, folder) = hub_with(database, &[]).await;
    let table = table(&hub, "t", columns()).await;
    add_rows(&hub, &table, 5, 3).await;
    let export = export(&hub, &table, &target(), json!({"schedule": "* * * * *"})).await;
    let before = thingshub::clock::now();
    make_due(&hub).await;
    reached(&hub, &export, 1, "succeeded").await;
    let view = hub.get(&export).await.ok();
    let next: chrono::DateTime<chrono::Utc> =
        view["next_run_at"].as_str().unwrap().parse().unwrap();
    assert!(next > before, "{view}");
    assert_eq!(files(&folder).len(), 1);
}

async fn times_are_those_of_the_zone(database: Database) {
    let (hub, _folder) = hub_with(database, &[]).await;
    let table = table(&hub, "t", columns()).await;
    let export = export(&hub, &table, &target(), at_six("Asia/Kolkata")).await;
    let is_at = async |time: &str| {
        let view = hub.get(&export).await.ok();
        let next = view["next_run_at"].as_str().unwrap();
        assert!(next.ends_with(time), "{view}");
    };
    is_at("T00:30:00Z").await;
    make_due(&hub).await;
    reached(&hub, &export, 1, "empty").await;
    is_at("T00:30:00Z").await;
    for (zone, time) in [("UTC", "T06:00:00Z"), ("Asia/Tokyo", "T21:00:00Z")] {
        let moved = body("e", &target(), at_six(zone));
        hub.put(&export, &moved).await.ok();
        is_at(time).await;
    }
}

fn at_six(timezone: &str) -> Value {
    json!({"schedule": "0 6 * * *", "timezone": timezone})
}

async fn a_deleted_table_takes_its_exports_along(database: Database) {
    let (hub, _folder) = hub_with(database, &[]).await;
    let table = table(&hub, "t", columns()).await;
    add_rows(&hub, &table, 5, 3).await;
    let export = export(&hub, &table, &target(), json!({})).await;
    run(&hub, &export, "succeeded").await;
    hub.delete(&table).await.ok();
    hub.get(&export).await.refused(404);
    for rows in [
        "scheduled_exports",
        "export_runs",
        "data_tables",
        "data_table_rows",
    ] {
        eventually("nothing is left", async || {
            (crate::support::rows::count(&hub, rows).await == 0).then_some(())
        })
        .await;
    }
}

async fn a_test_says_what_is_wrong(database: Database) {
    let (hub, folder) = hub_with(database, &[]).await;
    let table = table(&hub, "t", columns()).await;
    let export = export(&hub, &table, &target(), json!({})).await;
    let path = format!("{export}/test");
    let tested = hub.post(&path, &json!({})).await.ok();
    assert_eq!(
        (&tested["is_successful"], &tested["error"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(tested["host_key"], Value::Null);
    assert!(files(&folder).is_empty());
    fs::remove_dir_all(folder.path().join("tenant-1")).unwrap();
    fs::write(folder.path().join("tenant-1"), "in the folder's place").unwrap();
    let tested = hub.post(&path, &json!({})).await.ok();
    assert_eq!(tested["is_successful"], false);
    let error = tested["error"].as_str().unwrap();
    assert!(error.contains("in the folder's place"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_hubs_one_sends_the_file() {
    on_postgres(async |database: Database| {
        let (one, folder) = hub_with(database.clone(), &[]).await;
        let flags = ["--export-folder", folder.path().to_str().unwrap()];
        let two = Hub::start_with(database, &flags).await;
        let table = table(&one, "t", columns()).await;
        add_rows(&one, &table, 3, 20_000).await;
        let export = export(&one, &table, &target(), json!({})).await;
        let begun = two
            .post(&format!("{export}/runs"), &json!({}))
            .await
            .created();
        let run = reached(&one, &export, 1, "succeeded").await;
        assert_eq!(run["attempts"], 1);
        assert_eq!(run["file_name"], begun["file_name"]);
        assert_eq!(files(&folder).len(), 1);
        assert_eq!(
            numbers(&fs::read(&files(&folder)[0]).unwrap()).len(),
            20_000
        );
    })
    .await;
}
