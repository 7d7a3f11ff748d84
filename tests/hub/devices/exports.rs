//! Exports are whole, however much there is, and whatever goes on meanwhile; or they visibly break off.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    server::{Connection, Hub, things_stack},
};

on_both_databases!(
    all_rows_are_in_the_file,
    the_header_line_has_the_fields_of_all_rows,
    rows_that_come_meanwhile_are_not_in_it,
    a_file_that_cannot_be_ended_breaks_off,
    all_devices_are_in_the_file,
);

/// A hub with two devices, of which each has fields of its own, and a table; its path.
async fn hub(database: Database, columns: Value) -> (Hub, Connection, String) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    for (name, data) in [
        ("a", "{n: 1, text: 'x'.repeat(500)}"),
        ("b", "{late: true}"),
    ] {
        let script = format!("function decode() {{ return {data}; }}");
        hub.push(&format!("a/{name}"), "1", &script).await;
        let driver = json!({"driver": format!("a/{name}:1")});
        hub.device(name, &connection, eui(name), driver).await;
    }
    let table = json!({"name": "t", "selector": "", "columns": columns});
    let table = hub.post("data-tables", &table).await.created();
    let path = format!("data-tables/{}", table["id"]);
    (hub, connection, path)
}

fn eui(device: &str) -> &'static str {
    match device {
        "a" => "AA00000000000001",
        _ => "AA00000000000002",
    }
}

/// Puts so many copies of each row into the table.
async fn multiply(hub: &Hub, copies: usize) {
    let columns = "tenant_id, data_table_id, device_id, ts, data";
    let (id, numbers) = match hub.database {
        Database::Sqlite => (
            "randomblob(16)",
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {copies}) \
                 SELECT i FROM n)"
            ),
        ),
        Database::Postgres(_) => (
            "gen_random_uuid()",
            format!("(SELECT generate_series(1, {copies}))"),
        ),
    };
    hub.sql(&format!(
        "INSERT INTO data_table_rows (id, {columns}) \
         SELECT {id}, {columns} FROM data_table_rows CROSS JOIN {numbers} AS numbers"
    ))
    .await;
}

async fn all_rows_are_in_the_file(database: Database) {
    let columns = json!([{"path": "n", "type": "number"}]);
    let (hub, connection, path) = hub(database, columns).await;
    let csv = format!("{path}/rows.csv");
    let empty = hub.get(&csv).await;
    assert_eq!(
        (empty.status, empty.text.as_str()),
        (200, "time,device_id,n\n")
    );
    hub.uplink(&connection, eui("a")).await;
    multiply(&hub, 2600).await;
    hub.uplink(&connection, eui("a")).await;
    let whole = hub.get(&csv).await;
    assert_eq!(whole.status, 200);
    assert!(!whole.headers.contains_key("link"), "{:?}", whole.headers);
    let lines: Vec<&str> = whole.text.lines().collect();
    assert_eq!(lines.len(), 1 + 2602);
    assert_eq!(lines[0], "time,device_id,n");
    assert!(lines[1..].iter().all(|line| line.ends_with(",a,1")));
    // A bound that is given holds, and pages make the same file.
    let mut paged = vec![lines[0].to_owned()];
    let mut next = format!("{csv}?limit=1000");
    loop {
        let page = hub.get(&next).await;
        let rows: Vec<String> = page.text.lines().skip(1).map(str::to_owned).collect();
        assert!(rows.len() <= 1000);
        paged.extend(rows);
        let Some(link) = page.headers.get("link") else {
            break;
        };
        let link = link.to_str().unwrap();
        next = link
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap()
            .to_owned();
    }
    assert_eq!(paged, lines);
    // A cursor exports the rest behind its page.
    let page = hub.get(&format!("{csv}?limit=10")).await;
    let link = page.headers["link"].to_str().unwrap();
    let cursor = link
        .split("cursor=")
        .nth(1)
        .unwrap()
        .split('>')
        .next()
        .unwrap();
    let rest = hub.get(&format!("{csv}?cursor={cursor}")).await;
    assert_eq!(rest.text.lines().count(), 1 + 2602 - 10);
    let other = hub.get(&format!("{csv}?device_id=b")).await;
    assert_eq!(other.text, "time,device_id,n\n");
}

async fn the_header_line_has_the_fields_of_all_rows(database: Database) {
    let (hub, connection, path) = hub(database, Value::Null).await;
    hub.uplink(&connection, eui("a")).await;
    multiply(&hub, 1200).await;
    hub.uplink(&connection, eui("b")).await;
    let whole = hub.get(&format!("{path}/rows.csv")).await;
    let lines: Vec<&str> = whole.text.lines().collect();
    assert_eq!(lines.len(), 1 + 1202);
    assert_eq!(lines[0], "time,device_id,late,n,text");
    let late = lines.iter().find(|line| line.contains(",b,")).unwrap();
    assert!(late.ends_with(",b,true,,"), "{late}");
    let page = hub
        .get(&format!("{path}/rows.csv?limit=1&device_id=a"))
        .await;
    assert!(
        page.text.starts_with("time,device_id,n,text\n"),
        "{}",
        page.text
    );
}

/// The answer to an export that is longer than what may be under way, with its first piece.
async fn begun(hub: &Hub, path: &str) -> (reqwest::Response, Vec<u8>) {
    let request = hub.request(Method::GET, &format!("{path}/rows.csv"));
    let mut answer = request.bearer_auth(&hub.token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let first = answer.chunk().await.unwrap().unwrap();
    (answer, first.to_vec())
}

async fn large(database: Database) -> (Hub, Connection, String) {
    let columns = json!([{"path": "n", "type": "number"}, {"path": "text", "type": "text"}]);
    let (hub, connection, path) = hub(database, columns).await;
    hub.uplink(&connection, eui("a")).await;
    multiply(&hub, 40_000).await;
    (hub, connection, path)
}

async fn rows_that_come_meanwhile_are_not_in_it(database: Database) {
    let (hub, connection, path) = large(database).await;
    let (mut answer, mut file) = begun(&hub, &path).await;
    // Behind the last row, where the export has not been yet.
    for _ in 0..3 {
        let later = things_stack(eui("a")).replace("2023-05-19", "2024-05-19");
        let receipt = hub.ingest(&connection, later).await.ok();
        assert_eq!(receipt["status"], "recorded", "{receipt}");
    }
    while let Some(chunk) = answer.chunk().await.unwrap() {
        file.extend_from_slice(&chunk);
    }
    let file = String::from_utf8(file).unwrap();
    assert_eq!(file.lines().count(), 1 + 40_001);
    assert!(!file.contains("2024-05-19"), "what came meanwhile is in it");
    let later = hub
        .get(&format!("{path}/rows.csv?from=2024-01-01T00:00:00Z"))
        .await;
    assert_eq!(later.text.lines().count(), 1 + 3);
}

async fn a_file_that_cannot_be_ended_breaks_off(database: Database) {
    let (mut hub, _, path) = large(database).await;
    hub.may_complain = true;
    let (mut answer, _) = begun(&hub, &path).await;
    hub.sql("ALTER TABLE data_table_rows RENAME TO gone").await;
    let ended = loop {
        match answer.chunk().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert!(ended.is_err(), "it ended as if it were whole");
    crate::eventually("the log says so", async || {
        hub.log().contains("a response was cut off").then_some(())
    })
    .await;
}

async fn all_devices_are_in_the_file(database: Database) {
    let hub = Hub::start(database).await;
    let lines: String = (0..1203)
        .map(|n| format!("{{\"id\": \"d{n}\"}}\n"))
        .collect();
    let request = hub
        .request(Method::POST, "devices/import?format=ndjson")
        .bearer_auth(&hub.token)
        .header("Content-Type", "application/octet-stream")
        .body(lines);
    let import = hub.answer(request).await.created();
    let path = format!("devices/import/{}", import["id"]);
    crate::eventually("the import is done", async || {
        (hub.get(&path).await.ok()["state"] == "done").then_some(())
    })
    .await;
    let file = hub.get("devices/export").await;
    assert_eq!(file.text.lines().count(), 1 + 1203);
    let file = hub.get("devices/export?format=ndjson").await;
    assert_eq!(file.text.lines().count(), 1203);
}
