//! Rows that are imported from files, above all those that an export has written.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        answer::Answer,
        database::{Database, on_both_databases},
        rows::{count, fill, time},
        server::{Hub, PASSWORD},
    },
};

on_both_databases!(
    what_an_export_writes_can_be_imported,
    a_table_without_columns_takes_all_fields,
    rows_that_are_there_are_not_added_again,
    a_row_that_breaks_a_rule_is_refused_alone,
    a_file_that_fits_no_table_says_why,
    an_import_goes_on_after_its_hub_was_killed,
    imports_go_with_their_table,
);

const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";
const EUI: &str = "AA00000000000001";

/// Texts that a CSV file or a spreadsheet could spoil.
const TEXTS: [&str; 9] = [
    "plain",
    "=1+1",
    "'=x",
    "'s",
    "-5",
    "#N/A",
    "a,b;\"c\"\nd",
    " 12 ",
    "true",
];

async fn table(hub: &Hub, name: &str, columns: &Value) -> i64 {
    let body = json!({"name": name, "selector": "", "columns": columns});
    let table = hub.post("data-tables", &body).await.created();
    table["id"].as_i64().unwrap()
}

fn typed_columns() -> Value {
    json!([
        {"path": "n", "type": "number", "unit": "°C"},
        {"path": "text", "type": "text"},
        {"path": "=x", "type": "boolean"},
        {"path": "any", "type": "json"},
        {"path": "time", "type": "number"},
    ])
}

/// Adds a row behind the hub's back, at a second.
async fn add(hub: &Hub, table: i64, second: usize, data: &Value) {
    let data = data.to_string().replace('\'', "''");
    let cast = match &hub.database {
        Database::Sqlite => "",
        Database::Postgres(_) => "::jsonb",
    };
    let at = format!("'2026-02-01T12:00:{second:02}.000001+00:00'");
    let columns = "tenant_id, id, data_table_id, device_id, ts, data";
    let values = format!("1, ID, {table}, 'd', {at}, '{data}'{cast}");
    fill(hub, 1, "data_table_rows", columns, &values).await;
}

async fn export(hub: &Hub, table: i64, file: &str) -> String {
    let request = hub.request(Method::GET, &format!("data-tables/{table}/{file}"));
    let answer = request.bearer_auth(&hub.token).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{file}");
    answer.text().await.unwrap()
}

/// Rows of an export in NDJSON. They and their members are sorted: rows of one time may change places, and PostgreSQL
/// has an order of members of its own.
async fn lines(hub: &Hub, table: i64) -> Vec<String> {
    let text = export(hub, table, "rows.ndjson").await;
    let sorted = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let data: BTreeMap<String, Value> = serde_json::from_value(row["data"].clone()).unwrap();
        format!("{} {} {}", row["time"], row["device_id"], json!(data))
    };
    let mut lines: Vec<String> = text.lines().map(sorted).collect();
    lines.sort();
    lines
}

async fn send(hub: &Hub, table: i64, query: &str, kind: &str, file: impl Into<Vec<u8>>) -> Answer {
    let request = hub
        .request(Method::POST, &format!("data-tables/{table}/import{query}"))
        .bearer_auth(&hub.token)
        .header("Content-Type", kind)
        .body(file.into());
    hub.answer(request).await
}

async fn done(hub: &Hub, path: &str) -> Value {
    eventually("the import is done", async || {
        let import = hub.get(path).await.ok();
        assert_ne!(import["state"], "failed", "{import}");
        (import["state"] == "done").then_some(import)
    })
    .await
}

/// Imports a file. Returns the numbers of rows that were added, skipped and refused, and the path of the import.
pub async fn import(
    hub: &Hub,
    table: i64,
    query: &str,
    kind: &str,
    file: impl Into<Vec<u8>>,
) -> ([i64; 3], String) {
    let begun = send(hub, table, query, kind, file).await.created();
    let path = format!("data-tables/{table}/imports/{}", begun["id"]);
    let import = done(hub, &path).await;
    let counts = ["added", "skipped", "failed"].map(|name| import[name].as_i64().unwrap());
    assert_eq!(counts.iter().sum::<i64>(), import["rows_total"], "{import}");
    (counts, path)
}

/// Lines and errors of the rows that an import has refused.
async fn failures(hub: &Hub, path: &str) -> Vec<(i64, String)> {
    let rows = hub.list(&format!("{path}/failed-rows")).await;
    let failure = |row: &Value| {
        let error = row["error"].as_str().unwrap().to_owned();
        (row["line"].as_i64().unwrap(), error)
    };
    rows.iter().map(failure).collect()
}

async fn what_an_export_writes_can_be_imported(database: Database) {
    let hub = Hub::start(database).await;
    hub.post("devices", &json!({"id": "d"})).await.created();
    let from = table(&hub, "from", &typed_columns()).await;
    for (second, text) in TEXTS.iter().enumerate() {
        let row = json!({"n": -1.5e-7, "text": text, "=x": second % 2 == 0, "time": 7,
            "any": {"list": [1, null, "x"]}});
        add(&hub, from, second, &row).await;
    }
    // Several rows of one time, two of them the same.
    for n in [1, 1, 2] {
        add(&hub, from, 30, &json!({"n": n, "any": "=text"})).await;
    }
    let expected = lines(&hub, from).await;
    assert_eq!(expected.len(), TEXTS.len() + 3);

    for (number, (file, query, kind)) in [
        ("rows.csv", "", CSV),
        ("rows.csv?units=true", "", "application/octet-stream"),
        ("rows.csv?raw=true", "?raw=true", CSV),
        (
            "rows.csv?raw=true&units=true&sort=-time",
            "?raw=true&format=csv",
            CSV,
        ),
        ("rows.ndjson", "", NDJSON),
        ("rows.ndjson", "?format=ndjson", "application/octet-stream"),
    ]
    .into_iter()
    .enumerate()
    {
        let into = table(&hub, &format!("into {number}"), &typed_columns()).await;
        let exported = export(&hub, from, file).await;
        let (counts, path) = import(&hub, into, query, kind, exported.clone()).await;
        let failed = failures(&hub, &path).await;
        assert_eq!(counts, [12, 0, 0], "{file}: {failed:?}");
        assert_eq!(lines(&hub, into).await, expected, "{file}");
        let (counts, _) = import(&hub, into, query, kind, exported).await;
        assert_eq!(counts, [0, 12, 0], "{file} again");
        assert_eq!(lines(&hub, into).await, expected, "{file} again");
    }
}

async fn a_table_without_columns_takes_all_fields(database: Database) {
    let hub = Hub::start(database).await;
    hub.post("devices", &json!({"id": "d"})).await.created();
    let from = table(&hub, "from", &Value::Null).await;
    let mut rows = vec![
        json!({"n": 21.5, "open": true, "nested": {"a": [1, 2]}, "name": "=1+1"}),
        json!({"a.b": 1, "name": "-5", "time": "noon"}),
    ];
    for (second, row) in rows.iter().enumerate() {
        add(&hub, from, second, row).await;
    }
    let csv = table(&hub, "csv", &Value::Null).await;
    let exported = export(&hub, from, "rows.csv").await;
    assert_eq!(import(&hub, csv, "", CSV, exported).await.0, [2, 0, 0]);
    assert_eq!(lines(&hub, csv).await.len(), 2);
    assert_eq!(lines(&hub, csv).await, lines(&hub, from).await);
    // JSON alone tells a text from what it looks like.
    rows.push(json!({"name": "12", "null": null, "empty": ""}));
    add(&hub, from, 9, &rows[2]).await;
    let ndjson = table(&hub, "ndjson", &Value::Null).await;
    let exported = export(&hub, from, "rows.ndjson").await;
    assert_eq!(
        import(&hub, ndjson, "", NDJSON, exported).await.0,
        [3, 0, 0]
    );
    assert_eq!(lines(&hub, ndjson).await, lines(&hub, from).await);
    // In the encoding that the client names.
    let file = &b"time,device_id,name\n2026-01-01T00:00:00Z,d,\x8co\xac\n"[..];
    let macintosh = "text/csv; charset=macintosh";
    assert_eq!(import(&hub, csv, "", macintosh, file).await.0, [1, 0, 0]);
    let is_there = |line: &String| line.contains("\u{e5}o\u{a8}");
    assert!(lines(&hub, csv).await.iter().any(is_there));
}

async fn rows_that_are_there_are_not_added_again(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push(
        "a/b",
        "1",
        "function decode(bytes) { return {n: bytes[0]} }",
    )
    .await;
    let driver = json!({"driver": "a/b:1"});
    hub.device("d", &connection, EUI, driver).await;
    let columns = json!([{"path": "n", "type": "number"}]);
    let table = table(&hub, "t", &columns).await;
    uplink(&hub, &connection, 0).await;
    // The uplink's row is in the first one's place, whatever its values are.
    let file = "time,device_id,n\n\
        2026-01-31T12:00:00Z,d,100\n\
        2026-01-31T12:00:00Z,d,101\n\
        2026-01-31T13:00:00.0000001+01:00,d,102\n\
        2026-01-31T12:00:01Z,d,103\n";
    assert_eq!(import(&hub, table, "", CSV, file).await.0, [3, 1, 0]);
    let ns = async || {
        let rows = hub.list(&format!("data-tables/{table}/rows")).await;
        let ns = rows.iter().map(|row| row["data"]["n"].as_i64().unwrap());
        ns.collect::<BTreeSet<i64>>()
    };
    assert_eq!(ns().await, BTreeSet::from([1, 101, 102, 103]));
    for _ in 0..2 {
        assert_eq!(import(&hub, table, "", CSV, file).await.0, [0, 4, 0]);
    }
    // A fill takes an imported row for that of the uplink, and the next uplink has a row of its own.
    let filled = hub
        .post(&format!("data-tables/{table}/fill"), &json!({}))
        .await
        .created();
    let fill = done(&hub, &format!("data-tables/{table}/fills/{}", filled["id"])).await;
    assert_eq!(fill["rows"], 0);
    uplink(&hub, &connection, 1).await;
    assert_eq!(count(&hub, "data_table_rows").await, 5);
    let entry = hub
        .list("audit-log?action=create_row_import")
        .await
        .remove(0);
    assert_eq!(entry["resource_id"], table.to_string());
    assert_eq!(entry["after"]["import"]["rows_total"], 4, "{entry}");
}

async fn uplink(hub: &Hub, connection: &crate::support::server::Connection, second: u8) {
    let message = json!({
        "end_device_ids": {"device_id": "d", "dev_eui": EUI, "dev_addr": "00000001"},
        "uplink_message": {"f_cnt": crate::support::server::next_frame(), "f_port": 5,
            "received_at": format!("2026-01-31T12:00:{second:02}Z"), "frm_payload": "AQ=="},
    });
    let receipt = hub.ingest(connection, message.to_string()).await.ok();
    assert_eq!(receipt["status"], "recorded", "{receipt}");
}

async fn a_row_that_breaks_a_rule_is_refused_alone(database: Database) {
    let hub = Hub::start(database).await;
    hub.post("devices", &json!({"id": "d"})).await.created();
    let body =
        json!({"name": "t", "selector": "", "columns": typed_columns(), "retention_days": 3650});
    let table = hub.post("data-tables", &body).await.created()["id"]
        .as_i64()
        .unwrap();
    let file = "\
device_id;time;n;text;=x;any\n\
d;2026-01-01T00:00:00Z;1;good;TRUE;\n\
d;2026-01-01T00:00:00;1;;;\n\
d;;1;;;\n\
;2026-01-01T00:00:00Z;1;;;\n\
-d;2026-01-01T00:00:00Z;1;;;\n\
gone;2026-01-01T00:00:00Z;1;;;\n\
d;1969-12-31T23:59:59Z;1;;;\n\
d;2010-01-01T00:00:00Z;1;;;\n\
d;2999-01-01T00:00:00Z;1;;;\n\
d;2026-01-01T00:00:01Z;1,5;;;\n\
d;2026-01-01T00:00:01Z;;;maybe;\n\
d;2026-01-01T00:00:01Z;;#REF!;;\n\
d;2026-01-01T00:00:01Z;;;;\n\
\n\
d;2026-01-01T00:00:01Z;1;;;;more\n\
d;2026-01-01T00:00:01Z;1;\"unclosed;;\n\
'd;2026-01-01T00:00:02Z;2\n";
    let (counts, path) = import(&hub, table, "", CSV, file).await;
    let found = failures(&hub, &path).await;
    let expected = [
        (3, "time: must be a time such as"),
        (4, "time: is required"),
        (5, "device_id: is required"),
        (6, "device_id: must be letters"),
        (7, "device_id: there is no device \"gone\""),
        (8, "time: must not be before 1970"),
        (9, "time: must not be older than the retention_days"),
        (10, "time: must be at most a day ahead"),
        (11, "n: must be a number"),
        (12, "=x: must be true or false"),
        (13, "text: is an error value of a spreadsheet"),
        (14, "must have at least one value"),
        (16, "the row has 7 cells, but the header line has 6"),
        (17, "a quote is opened"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((line, error), (expected_line, start)) in found.iter().zip(expected) {
        assert_eq!(*line, expected_line, "{error}");
        assert!(error.starts_with(start), "{line}: {error}");
    }
    assert_eq!(counts, [2, 0, 14]);

    let file = "\
{\"time\":\"2026-01-02T00:00:00Z\",\"device_id\":\"d\",\"data\":{\"n\":1,\"text\":null}}\n\
{\"time\":\"2026-01-02T00:00:00Z\",\"device_id\":\"d\",\"data\":{\"n\":\"1\"}}\n\
{\"time\":\"2026-01-02T00:00:00Z\",\"device_id\":\"d\",\"data\":{\"n\":1,\"m\":2,\"o\":3}}\n\
{\"time\":\"2026-01-02T00:00:00Z\",\"device_id\":\"d\",\"data\":[]}\n\
{\"time\":\"2026-01-02T00:00:00Z\",\"device_id\":\"d\",\"data\":{\"text\":\"\\u0000\"}}\n\
{\"time\":\"2026-01-02T00:00:00Z\",\"device_id\":\"d\",\"n\":1}\n\
no JSON\n";
    let (counts, path) = import(&hub, table, "", NDJSON, file).await;
    assert_eq!(counts, [1, 0, 6]);
    let found = failures(&hub, &path).await;
    let found: Vec<&str> = found.iter().map(|(_, error)| error.as_str()).collect();
    for (error, part) in found.iter().zip([
        "data.n: must be a number",
        "data: the data table has no columns \"m\", \"o\"",
        "data: must be an object",
        "must have no NUL character",
        "n: ",
        "is not valid JSON",
    ]) {
        assert!(error.contains(part), "{error}");
    }
}

async fn a_file_that_fits_no_table_says_why(database: Database) {
    let flags = ["--import-max-bytes", "2000", "--body-max-bytes", "1000"];
    let mut hub = Hub::start_with(database, &flags).await;
    let columns = json!([{"path": "n", "type": "number"}]);
    let table = table(&hub, "t", &columns).await;
    for (file, expected) in [
        (
            "time,device_id,m,o\n",
            "header line: the data table has no columns \"m\", \"o\"",
        ),
        (
            "time,device_id,n,n\n",
            "header line: column \"n\" must not be repeated",
        ),
        ("time,n\n", "header line: must have the column device_id"),
        ("device_id,n\n", "header line: must have the column time"),
        ("time,device_id,n\n", "body: must have at least one row"),
        ("", "body: must start with a header line"),
    ] {
        let error = send(&hub, table, "", CSV, file).await.refused(400);
        assert!(error.starts_with(expected), "{file}: {error}");
    }
    let file = "time,device_id,n\n2026-01-01T00:00:00Z,d,1\n";
    send(&hub, table, "?format=ndjson", CSV, file)
        .await
        .refused(400);
    send(&hub, table, "", "application/json", file)
        .await
        .refused(400);
    send(&hub, 9999, "", CSV, file).await.refused(404);
    hub.get("data-tables/9999/imports").await.refused(404);
    let other = self::table(&hub, "other", &Value::Null).await;
    let (_, import) = self::import(&hub, other, "", CSV, file).await;
    let long_row = "x".repeat(1200);
    let long_row = format!("time,device_id,n\n2026-01-01T00:00:00Z,d,{long_row}\n");
    let (_, path) = self::import(&hub, other, "", CSV, long_row).await;
    let rule = "a row must have at most 1000 bytes".to_owned();
    assert_eq!(failures(&hub, &path).await, [(2, rule)]);
    let its_id = import.rsplit('/').next().unwrap();
    for id in ["9999", its_id] {
        for path in ["", "/failed-rows"] {
            let path = format!("data-tables/{table}/imports/{id}{path}");
            hub.get(&path).await.refused(404);
        }
    }
    let workbook = b"PK\x03\x04\x14\0\0\0\0\0".to_vec();
    let error = send(&hub, table, "", CSV, workbook).await.refused(400);
    assert!(error.starts_with("body: must be a text file"), "{error}");
    let long = "2026-01-01T00:00:00Z,d,1\n".repeat(100);
    let long = send(&hub, table, "", CSV, format!("time,device_id,n\n{long}"));
    let error = long.await.refused(400);
    assert!(
        error.starts_with("body: must have at most 2000 bytes"),
        "{error}"
    );
    let of_it = format!("data_table_imports WHERE data_table_id = {table}");
    assert_eq!(count(&hub, &of_it).await, 0);
    // Imports that never end, because none of their rows waits.
    let columns = "tenant_id, created_at, updated_at, data_table_id, state, format, encoding, rows_total, added, \
         skipped, failed";
    let now = time(0);
    let values = format!("1, {now}, {now}, {table}, 'running', 'csv', 'utf-8', 1, 0, 0, 0");
    fill(&hub, 5, "data_table_imports", columns, &values).await;
    let error = send(&hub, table, "", CSV, file).await.refused(400);
    assert!(
        error.starts_with("5 imports are running already"),
        "{error}"
    );
    hub.user("viewer", "viewer").await;
    hub.token = hub.log_in("viewer", PASSWORD).await;
    send(&hub, table, "", CSV, file).await.refused(403);
}

async fn an_import_goes_on_after_its_hub_was_killed(database: Database) {
    const MANY: u64 = 12_000;
    let mut hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    hub.push(
        "a/b",
        "1",
        "function decode(bytes) { return {n: bytes[0]} }",
    )
    .await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    let table = table(&hub, "t", &json!([{"path": "n", "type": "number"}])).await;
    let row = |n: u64| {
        let (minute, second) = (n / 60 % 60, n % 60);
        let hour = n / 3600;
        format!("2026-01-01T{hour:02}:{minute:02}:{second:02}Z,d,{n}\n")
    };
    let file: String = (0..MANY).map(row).collect();
    let file = format!("time,device_id,n\n{file}");
    let begun = send(&hub, table, "", CSV, file).await.created();
    let path = format!("data-tables/{table}/imports/{}", begun["id"]);
    eventually("some rows are there", async || {
        let added = hub.get(&path).await.ok()["added"].as_u64().unwrap();
        (added > 0).then_some(())
    })
    .await;
    uplink(&hub, &connection, 1).await;
    hub.end(Signal::SIGKILL).await;
    let there = count(&hub, "data_table_rows").await;
    assert!(there > 1 && there < MANY, "{there} rows");
    hub.start_again().await;
    uplink(&hub, &connection, 2).await;
    let import = done(&hub, &path).await;
    assert_eq!(import["added"], MANY, "{import}");
    assert_eq!(count(&hub, "data_table_rows").await, MANY + 2);
    let distinct = "(SELECT DISTINCT ts FROM data_table_rows) AS times";
    assert_eq!(count(&hub, distinct).await, MANY + 2);
    assert_eq!(count(&hub, "data_table_import_batches").await, 0);
    assert_eq!(
        hub.list(&format!("data-tables/{table}/imports")).await,
        [import]
    );
}

async fn imports_go_with_their_table(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, "t", &Value::Null).await;
    let file = "time,device_id,n\n2026-01-01T00:00:00Z,gone,1\n";
    let (counts, path) = import(&hub, table, "", CSV, file).await;
    assert_eq!(counts, [0, 0, 1]);
    assert_eq!(count(&hub, "data_table_import_rows").await, 1);
    hub.delete(&format!("data-tables/{table}")).await.ok();
    hub.get(&path).await.refused(404);
    eventually("its imports are gone", async || {
        let rows = count(&hub, "data_table_import_rows").await;
        (rows + count(&hub, "data_table_imports").await == 0).then_some(())
    })
    .await;
}
