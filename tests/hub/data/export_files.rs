//! Content of the files of scheduled exports, and exports that are refused.

use std::{fs, io::Read};

use bytes::Bytes;

use flate2::read::GzDecoder;
use nix::sys::signal::Signal;
use parquet::file::reader::{FileReader, SerializedFileReader};

use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    exports::{add_rows, body, export, hub_with_folder as hub_with, run, table},
};

on_both_databases!(
    files_come_in_all_formats,
    texts_are_safe_in_spreadsheets_unless_raw,
    what_cannot_be_exported_is_refused,
);

fn columns() -> Value {
    json!([{"path": "n", "type": "number"}])
}

fn target() -> Value {
    json!({"type": "folder", "folder": "erp"})
}

async fn files_come_in_all_formats(database: Database) {
    let (hub, folder) = hub_with(database, &[]).await;
    let columned = json!([{"path": "n", "type": "number", "unit": "°C"}]);
    for (number, columns) in [(1, columned), (2, Value::Null)] {
        let table = table(&hub, &format!("t{number}"), columns.clone()).await;
        add_rows(&hub, &table, 5, 3).await;
        let unit = if columns.is_null() { "" } else { " [°C]" };
        for (format, gzip) in [
            ("csv", true),
            ("csv", false),
            ("ndjson", true),
            ("parquet", false),
        ] {
            let name = format!("{format}{gzip}");
            let mut more = json!({"format": format, "gzip": gzip, "name": name});
            if format == "csv" {
                more["units"] = true.into();
            }
            let export = export(&hub, &table, &target(), more).await;
            let run = run(&hub, &export, "succeeded").await;
            assert_eq!(run["rows"], 3, "{run}");
            let path = folder
                .path()
                .join("tenant-1/erp")
                .join(run["file_name"].as_str().unwrap());
            let mut content = fs::read(&path).unwrap();
            if gzip {
                assert!(path.extension().unwrap() == "gz");
                let mut plain = Vec::new();
                GzDecoder::new(&content[..])
                    .read_to_end(&mut plain)
                    .unwrap();
                content = plain;
            }
            if format == "parquet" {
                let file = SerializedFileReader::new(Bytes::from(content)).unwrap();
                let rows = file.get_row_iter(None).unwrap();
                let numbers = rows.map(|row| {
                    let row = row.unwrap();
                    let (_, n) = row
                        .get_column_iter()
                        .find(|(name, _)| *name == "n")
                        .unwrap();
                    n.to_string().parse().unwrap()
                });
                assert_eq!(numbers.collect::<Vec<f64>>(), [1.0, 2.0, 3.0]);
                continue;
            }
            let text = String::from_utf8(content).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            if format == "csv" {
                assert_eq!(lines[0], format!("time,device_id,n{unit}"));
                assert_eq!(lines.len(), 4);
            } else {
                let row: Value = serde_json::from_str(lines[2]).unwrap();
                assert_eq!(row["data"], json!({"n": 3}));
                assert_eq!(row["device_id"], "d");
            }
        }
    }
}

async fn texts_are_safe_in_spreadsheets_unless_raw(database: Database) {
    let (hub, folder) = hub_with(database, &[]).await;
    let table = table(&hub, "t", json!([{"path": "n", "type": "text"}])).await;
    add_rows(&hub, &table, 5, 1).await;
    let formula = match &hub.database {
        Database::Sqlite => "json_object('n', '=1+1')",
        Database::Postgres(_) => "jsonb_build_object('n', '=1+1')",
    };
    hub.sql(&format!("UPDATE data_table_rows SET data = {formula}"))
        .await;
    for (name, raw, expected) in [("safe", false, ",d,'=1+1"), ("raw", true, ",d,=1+1")] {
        let target = json!({"type": "folder", "folder": name});
        let more = json!({"name": name, "raw": raw});
        let export = export(&hub, &table, &target, more).await;
        let run = run(&hub, &export, "succeeded").await;
        let file = folder.path().join("tenant-1").join(name);
        let file = file.join(run["file_name"].as_str().unwrap());
        let text = fs::read_to_string(file).unwrap();
        let row = text.lines().nth(1).unwrap();
        assert!(row.ends_with(expected), "{raw}: {row}");
    }
}

async fn what_cannot_be_exported_is_refused(database: Database) {
    let (mut hub, _folder) = hub_with(database, &[]).await;
    let table = table(&hub, "t", columns()).await;
    let path = format!("{table}/scheduled-exports");
    for (more, error) in [
        (
            json!({"schedule": "* * * *"}),
            "schedule: must be a cron expression",
        ),
        (
            json!({"schedule": "61 * * * *"}),
            "schedule: must be a cron expression",
        ),
        (
            json!({"schedule": "0 0 30 2 *"}),
            "schedule: must have a time in the future",
        ),
        (
            json!({"timezone": "Europe/Nowhere"}),
            "timezone: must be the name of a time zone",
        ),
        (
            json!({"format": "parquet", "gzip": true}),
            "gzip: cannot be combined",
        ),
        (
            json!({"format": "ndjson", "units": true}),
            "units: requires the format csv",
        ),
        (
            json!({"format": "ndjson", "raw": true}),
            "raw: requires the format csv",
        ),
        (
            json!({"target": {"type": "folder", "folder": "../up"}}),
            "target.folder: must be letters",
        ),
        (
            json!({"target": {"type": "folder", "folder": "a/b"}}),
            "target.folder: must be letters",
        ),
        (json!({"target": {"type": "ftp"}}), "target.type"),
    ] {
        let refused = hub
            .post(&path, &body("e", &target(), more))
            .await
            .refused(400);
        assert!(refused.starts_with(error), "{refused}");
    }
    let made = export(&hub, &table, &target(), json!({})).await;
    let taken = body("e", &target(), json!({}));
    hub.post(&path, &taken).await.refused(400);
    hub.post("data-tables/999/scheduled-exports", &taken)
        .await
        .refused(404);
    hub.get("data-tables/999/scheduled-exports")
        .await
        .refused(404);
    hub.get(&format!("{path}/999")).await.refused(404);
    // Those of a table are not another's.
    let other = self::table(&hub, "other", columns()).await;
    let elsewhere = made.replace(&table, &other);
    hub.get(&elsewhere).await.refused(404);
    hub.put(&elsewhere, &taken).await.refused(404);
    hub.delete(&elsewhere).await.refused(404);
    hub.post(&format!("{path}/999/runs"), &json!({}))
        .await
        .refused(404);
    hub.get(&format!("{path}/999/runs")).await.refused(404);
    hub.post(&format!("{path}/999/test"), &json!({}))
        .await
        .refused(404);
    for number in 1..20 {
        let more = json!({"name": format!("e{number}")});
        hub.post(&path, &body("", &target(), more)).await.created();
    }
    let taken_by_another = body("e1", &target(), json!({}));
    let refused = hub.put(&made, &taken_by_another).await;
    assert_eq!(refused.headers["x-error-reason"], "already_exists");
    refused.refused(400);
    let full = hub
        .post(&path, &body("one more", &target(), json!({})))
        .await;
    assert!(full.refused(400).contains("20 scheduled exports"));
    let deleted = hub.delete(&made).await.ok();
    assert_eq!(deleted["name"], "e");
    hub.get(&made).await.refused(404);
    hub.end(Signal::SIGTERM).await;
    hub.start_again_with(&[]).await;
    let refused = hub.post(&path, &taken).await.refused(400);
    assert!(
        refused.starts_with("target.type: folder requires"),
        "{refused}"
    );
    let other = format!("{path}/{}", hub.list(&path).await[0]["id"]);
    let refused = hub.put(&other, &taken).await;
    assert_eq!(refused.headers["x-error-reason"], "wrong_state");
    refused.refused(400);
}
