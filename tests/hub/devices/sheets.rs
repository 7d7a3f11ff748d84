//! Spreadsheets: what they make of a file of devices, and how browsers and tools send it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::{Database, on_both_databases},
        server::{Answer, Hub},
    },
};

on_both_databases!(
    rows_of_commas_make_no_device,
    sheets_of_every_layout_are_read,
    what_a_sheet_is_not_is_refused,
    ids_that_became_numbers_are_refused,
    rows_may_end_early,
    files_come_as_browsers_and_tools_send_them,
    forms_hold_one_file,
    an_export_passes_through_a_spreadsheet,
    what_cannot_be_stored_costs_its_row_alone,
);

const FILE: &str = "application/octet-stream";
const EMPTY_ROWS: &str = include_str!("../../sheets/empty_rows.csv");
const EXCEL_NUMBERS: &str = include_str!("../../sheets/excel_numbers.csv");
const HEADER_CASE: &str = include_str!("../../sheets/header_case.csv");
const SEMICOLON: &str = include_str!("../../sheets/semicolon.csv");
const SHORT_ROWS: &str = include_str!("../../sheets/short_rows.csv");

async fn send(hub: &Hub, query: &str, kind: &str, file: impl Into<Vec<u8>>) -> Answer {
    let request = hub
        .request(Method::POST, &format!("devices/import{query}"))
        .bearer_auth(&hub.token)
        .header("Content-Type", kind)
        .body(file.into());
    hub.answer(request).await
}

/// Imports a file that says nothing of its form, replacing what is there.
async fn import(hub: &Hub, file: impl Into<Vec<u8>>) -> Value {
    let begun = send(hub, "?on_existing=update", FILE, file).await.created();
    done(hub, &begun).await
}

async fn done(hub: &Hub, begun: &Value) -> Value {
    let path = format!("devices/import/{}", begun["id"]);
    eventually("the import is done", async || {
        let import = hub.get(&path).await.ok();
        assert_ne!(import["state"], "failed", "{import}");
        (import["state"] == "done").then_some(import)
    })
    .await
}

/// All rows, made or replaced, failed.
fn counts(import: &Value) -> [i64; 3] {
    let [total, created, updated, failed] =
        ["rows_total", "created", "updated", "failed"].map(|name| import[name].as_i64().unwrap());
    [total, created + updated, failed]
}

async fn rows(hub: &Hub, import: &Value) -> Vec<Value> {
    hub.list(&format!("devices/import/{}/rows", import["id"]))
        .await
}

/// The errors of an import by their lines.
async fn errors(hub: &Hub, import: &Value) -> Vec<(i64, String)> {
    let path = format!("devices/import/{}/rows?outcome=failed", import["id"]);
    let error = |row: &Value| {
        let error = row["error"].as_str().unwrap().to_owned();
        (row["line"].as_i64().unwrap(), error)
    };
    hub.list(&path).await.iter().map(error).collect()
}

/// The file for a connection of the hub in place of the first.
fn of_connection(file: &str, id: i64) -> String {
    file.replace(",1,", &format!(",{id},"))
        .replace(";1;", &format!(";{id};"))
}

fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

async fn rows_of_commas_make_no_device(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let made = import(&hub, of_connection(EMPTY_ROWS, connection.id)).await;
    assert_eq!(counts(&made), [2, 2, 0], "{made}");
    assert_eq!(hub.list("devices").await.len(), 2);
    // In between as well, before the header line and with blanks: lines stay those of the file.
    let file = ";;\r\nid;name;\r\n;;\r\n\r\na;A;\r\n ; ;\r\n=\"\";;\r\n-;B\r\n";
    let made = import(&hub, file).await;
    assert_eq!(counts(&made), [2, 1, 1], "{made}");
    let rows = rows(&hub, &made).await;
    let places = rows.iter().map(|row| (&row["row"], &row["line"]));
    let expected = [(&json!(1), &json!(5)), (&json!(2), &json!(8))];
    assert_eq!(places.collect::<Vec<_>>(), expected, "{rows:?}");
    let refused = send(&hub, "", FILE, "id,name\n,\n,\n").await.refused(400);
    assert_eq!(refused, "body: must have at least one row");
}

async fn sheets_of_every_layout_are_read(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let plain = of_connection(HEADER_CASE, connection.id);
    let semicolon = of_connection(SEMICOLON, connection.id);
    let told = format!("sep=;\r\n{}", semicolon.trim_start_matches('\u{feff}'));
    let marked = format!("\u{feff}{plain}");
    let windows = plain.replace('ü', "\u{1}").into_bytes();
    let windows: Vec<u8> = windows
        .into_iter()
        .map(|byte| if byte == 1 { 0xfc } else { byte })
        .collect();
    for (file, encoding, delimiter) in [
        (plain.clone().into_bytes(), "utf-8", ","),
        (semicolon.into_bytes(), "utf-8", ";"),
        (told.into_bytes(), "utf-8", ";"),
        (plain.replace(',', "\t").into_bytes(), "utf-8", "\t"),
        (plain.replace("\r\n", "\r").into_bytes(), "utf-8", ","),
        (utf_16(&marked, u16::to_le_bytes), "utf-16le", ","),
        (utf_16(&marked, u16::to_be_bytes), "utf-16be", ","),
        (windows, "windows-1252", ","),
    ] {
        hub.delete("devices/s1").await;
        let made = import(&hub, file).await;
        assert_eq!(counts(&made), [2, 2, 0], "{made}");
        assert_eq!(made["encoding"], encoding, "{made}");
        assert_eq!(made["delimiter"], delimiter, "{made}");
        let device = hub.get("devices/s1").await.ok();
        assert_eq!(device["name"], "Küche Süd");
        assert_eq!(device["labels"], json!(["site=berlin"]));
    }
    let lines = utf_16(
        "\u{feff}{\"id\":\"n\",\"name\":\"Küche\"}\r\n",
        u16::to_le_bytes,
    );
    let begun = send(&hub, "?format=ndjson", FILE, lines).await.created();
    let made = done(&hub, &begun).await;
    assert_eq!(counts(&made), [1, 1, 0], "{made}");
    assert_eq!(
        (&made["encoding"], &made["delimiter"]),
        (&json!("utf-16le"), &Value::Null)
    );
    // Empty columns are no columns, and a connection's number may be written as a sheet likes it.
    let file = format!(
        "\"ID\";;Network Connection-ID; labels ;network_device_id;;\n\
         d1;;{0},0;a; AA00000000000001 ;;\nd2;;\"{0}.00\";b ; c;AA00000000000002\n\
         d3;x;;;;;\nd4;;{0},5;;AA00000000000003;;\n",
        connection.id
    );
    let made = import(&hub, file).await;
    assert_eq!(counts(&made), [4, 1, 3], "{:?}", rows(&hub, &made).await);
    let file = format!(
        "\"ID\";;Network Connection-ID; labels ;network_device_id;;\n\
         d2;;\"{0}.00\";\"b ; c\";AA00000000000002\n",
        connection.id
    );
    let found = errors(&hub, &made).await;
    for ((line, error), (number, start)) in found.iter().zip([
        (3, "column 6: must be empty"),
        (4, "column 2: must be empty"),
        (5, "network_connection_id: must be an integer, such as 3"),
    ]) {
        assert_eq!(*line, number, "{error}");
        assert!(error.starts_with(start), "{line}: {error}");
    }
    let made = import(&hub, file).await;
    assert_eq!(counts(&made), [1, 1, 0], "{:?}", rows(&hub, &made).await);
    let device = hub.get("devices/d2").await.ok();
    assert_eq!(device["labels"], json!(["b", "c"]));
}

async fn what_a_sheet_is_not_is_refused(database: Database) {
    let hub = Hub::start(database).await;
    for (file, start) in [
        (
            &b"PK\x03\x04\x14\0"[..],
            "body: must be a text file, but is an Excel or OpenDocument workbook: save",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0",
            "body: must be a text file, but is an old Excel workbook: save",
        ),
        (
            b"id,lable\na,b\n",
            "header line: column \"lable\" is unknown; did you mean \"labels\"? Known columns: id, name",
        ),
        (
            b"\r\nid,colour\r\n",
            "header line (line 2): column \"colour\" is unknown. Known columns: id, name",
        ),
        (
            b"id,ID \na,b\n",
            "header line: column \"id\" must not be repeated",
        ),
        (b"sep=x\nid\na\n", "line 1: sep= must be followed by"),
        (
            b"{\"id\":\"a\"}\n",
            "header line: must name columns; send a file of JSON lines with format=ndjson",
        ),
        // Cyrillic in Windows-1251.
        (
            b"id,name\r\na,b\r\nc,\xca\xf3\xf5\xed\xff\r\n",
            "body: line 3 is not UTF-8: save the file as \"CSV UTF-8\"",
        ),
        (
            b"\xff\xfei\0d\0\n\0\0\xd8a\0",
            "body: line 2 is not valid utf-16le: save",
        ),
    ] {
        let error = send(&hub, "", FILE, file).await.refused(400);
        assert!(error.starts_with(start), "{error}");
    }
    assert!(hub.list("devices").await.is_empty());
}

async fn ids_that_became_numbers_are_refused(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let file = of_connection(EXCEL_NUMBERS, connection.id)
        + &format!(
            "s9,E,{0},1234567890123450\r\n\
             s10,F,{0},'1234567890123450\r\n\
             1.00E+15,G,,\r\n\
             s11,#NAME?,,\r\n\
             s12,I,1E+05,AA00000000000001\r\n",
            connection.id
        );
    let made = import(&hub, file).await;
    assert_eq!(counts(&made), [9, 3, 6], "{:?}", rows(&hub, &made).await);
    let found = errors(&hub, &made).await;
    let expected = [
        (
            2,
            "network_device_id: was converted to a number by a spreadsheet",
        ),
        (3, "network_device_id: must be a DevEUI"),
        (6, "network_device_id: looks like a number"),
        (8, "id: was converted to a number by a spreadsheet"),
        (9, "name: is an error value of a spreadsheet"),
        (
            10,
            "network_connection_id: was converted to a number by a spreadsheet",
        ),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((line, error), (number, start)) in found.iter().zip(expected) {
        assert_eq!(*line, number, "{error}");
        assert!(error.starts_with(start), "{line}: {error}");
        assert!(error.contains("the column as text"), "{error}");
    }
    for (id, eui) in [
        ("s7", "0024E124538C1945"),
        ("s8", "24E124538C194508"),
        ("s10", "1234567890123450"),
    ] {
        let device = hub.get(&format!("devices/{id}")).await.ok();
        let address = &device["connectivity"]["connections"][0];
        assert_eq!(address["network_device_id"], eui, "{device}");
    }
    assert_eq!(hub.list("devices").await.len(), 3);
}

async fn rows_may_end_early(database: Database) {
    let hub = Hub::start(database).await;
    let file = SHORT_ROWS.to_owned() + "x3,C,,,,\r\nx4,D,,,more\r\n";
    let made = import(&hub, file).await;
    assert_eq!(counts(&made), [4, 3, 1], "{:?}", rows(&hub, &made).await);
    assert_eq!(hub.get("devices/x1").await.ok()["name"], "A");
    let found = errors(&hub, &made).await;
    assert_eq!(found[0].0, 5);
    let start =
        "the row has 5 cells, but the header line has 4: a cell that contains a \",\" must be";
    assert!(found[0].1.starts_with(start), "{found:?}");
}

async fn files_come_as_browsers_and_tools_send_them(database: Database) {
    let hub = Hub::start(database).await;
    const CSV: &str = "id,name\na,K\u{fc}che\n";
    const LINES: &str = "{\"id\":\"a\",\"name\":\"K\u{fc}che\"}\n";
    for (kind, file, format) in [
        ("text/csv", CSV, "csv"),
        ("text/csv; charset=utf-8; header=present", CSV, "csv"),
        ("TEXT/CSV;charset=\"UTF-8\"", CSV, "csv"),
        ("application/csv", CSV, "csv"),
        ("application/vnd.ms-excel", CSV, "csv"),
        ("text/plain", CSV, "csv"),
        ("application/x-ndjson", LINES, "ndjson"),
        ("application/ndjson", LINES, "ndjson"),
        ("application/jsonl; charset=utf-8", LINES, "ndjson"),
    ] {
        for query in [
            "?on_existing=update",
            &format!("?on_existing=update&format={format}"),
        ] {
            let begun = send(&hub, query, kind, file).await.created();
            let made = done(&hub, &begun).await;
            assert_eq!(
                (counts(&made), &made["format"]),
                ([1, 1, 0], &json!(format)),
                "{kind}"
            );
        }
        assert_eq!(hub.get("devices/a").await.ok()["name"], "Küche", "{kind}");
    }
    // The client's word on the encoding counts.
    let file = b"id,name\na,\x8co\xac\n";
    let begun = send(
        &hub,
        "?on_existing=update",
        "text/csv; charset=macintosh",
        &file[..],
    )
    .await;
    let made = done(&hub, &begun.created()).await;
    assert_eq!(made["encoding"], "macintosh");
    assert_eq!(hub.get("devices/a").await.ok()["name"], "åo¨");
    for (query, kind, start) in [
        (
            "?format=ndjson",
            "text/csv",
            "format: is ndjson, but the Content-Type of the file means csv",
        ),
        (
            "?format=csv",
            "application/ndjson",
            "format: is csv, but the Content-Type of the file means ndjson",
        ),
        (
            "",
            "text/csv; header=absent",
            "header Content-Type: must not be header=absent",
        ),
        (
            "",
            "text/csv; charset=klingon",
            "header Content-Type: must name a charset",
        ),
        (
            "",
            "application/x-www-form-urlencoded",
            "header Content-Type: must be application/octet-stream, text/csv, application/x-ndjson or multipart/form-data",
        ),
        (
            "",
            "",
            "header Content-Type: must be application/octet-stream, text/csv",
        ),
        (
            "",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "header Content-Type: must not be the type of a workbook: save the file as \"CSV UTF-8\"",
        ),
        (
            "",
            "multipart/form-data",
            "header Content-Type: must name the form's boundary",
        ),
    ] {
        let error = send(&hub, query, kind, CSV).await.refused(400);
        assert!(error.starts_with(start), "{kind}: {error}");
    }
}

fn part(disposition: &str, kind: &str, content: &str) -> String {
    format!("--X\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n{content}\r\n")
}

async fn forms_hold_one_file(database: Database) {
    let hub = Hub::start_with(database, &["--import-max-bytes", "2000"]).await;
    const FORM: &str = "multipart/form-data; boundary=X";
    let csv = "Content-Type: text/csv\r\n";
    let file = |name: &str, kind: &str, content: &str| {
        part(
            &format!("name=\"file\"; filename=\"{name}\""),
            kind,
            content,
        )
    };
    let lines = "{\"id\":\"n1\"}\n{\"id\":\"n2\"}";
    for (form, format, rows) in [
        (file("devices.csv", csv, "id\na\nb"), "csv", 2),
        // The form that `curl -F file=@devices.csv` and Firefox on Windows send.
        (
            file(
                "devices.csv",
                "Content-Type: application/octet-stream\r\n",
                "id\na",
            ),
            "csv",
            1,
        ),
        (
            file(
                "d.csv",
                "Content-Type: application/vnd.ms-excel\r\n",
                "id\na",
            ),
            "csv",
            1,
        ),
        (file("d.csv", "", "id\na"), "csv", 1),
        (
            file(
                "d.ndjson",
                "Content-Type: application/octet-stream\r\n",
                lines,
            ),
            "ndjson",
            2,
        ),
        (
            file("d.txt", "Content-Type: application/x-ndjson\r\n", lines),
            "ndjson",
            2,
        ),
        (file("", "", "") + &file("d.csv", csv, "id\na"), "csv", 1),
    ] {
        let form = form + "--X--\r\n";
        let answer = send(&hub, "?on_existing=update", FORM, form.clone()).await;
        let made = done(&hub, &answer.created()).await;
        assert_eq!(
            (counts(&made), &made["format"]),
            ([rows, rows, 0], &json!(format)),
            "{form}"
        );
    }
    let good = file("d.csv", csv, "id\na");
    let large = file("d.csv", csv, &format!("id\n{}", "abcdefg\n".repeat(300)));
    let larger = file("d.csv", csv, &"abcdefg\n".repeat(20_000));
    for (query, form, start) in [
        (
            "?format=ndjson",
            good.clone() + "--X--\r\n",
            "format: is ndjson, but the Content-Type",
        ),
        (
            "",
            part("name=\"format\"", "", "csv") + &good + "--X--\r\n",
            "body: must have no part but the file",
        ),
        (
            "",
            good.clone() + &good + "--X--\r\n",
            "body: must have one file",
        ),
        (
            "",
            "--X--\r\n".to_owned(),
            "body: must have a part with a file",
        ),
        ("", good.clone(), "body: must be a whole multipart form"),
        (
            "",
            large + "--X--\r\n",
            "body: must have at most 2000 bytes",
        ),
        (
            "",
            larger + "--X--\r\n",
            "body: must have at most 2000 bytes",
        ),
        (
            "",
            file("d.xml", "Content-Type: text/xml\r\n", "<a/>") + "--X--\r\n",
            "the file's Content-Type: must be application/octet-stream, text/csv",
        ),
    ] {
        let error = send(&hub, query, FORM, form.clone()).await.refused(400);
        assert!(error.starts_with(start), "{form}: {error}");
    }
}

async fn an_export_passes_through_a_spreadsheet(database: Database) {
    let hub = Hub::start(database).await;
    let settings = json!({"type": "http", "mapping": { "device_id_pointer": "/id", "payload_pointer": "/p",
        "payload_encoding": "base64"}});
    let connection = hub
        .connect_as(&json!({"name": "any", "settings": settings}))
        .await;
    let texts = [
        (
            "a",
            "=1+1",
            "=HYPERLINK(\"http://example.com\")",
            "7.08E+15",
        ),
        ("b", "'s-Gravenhage", "'=x", "'1"),
        ("c", "-5 °C", "#N/A", "1234567890123450"),
        ("d", "@here", "+49 30; \"x\"", " -1 "),
        ("e", "''=1", "\ttab\r\nand more", "=\"1\""),
    ];
    for (id, name, description, address) in texts {
        let body = json!({"id": id, "name": name, "description": description, "labels": ["-x", "y"],
            "metadata": {"=": "=1"}, "connectivity": {"connections": [
                {"network_connection_id": connection.id, "network_device_id": address}]}});
        hub.post("devices", &body).await.created();
    }
    let before = hub.list("devices").await;
    for format in ["csv", "ndjson"] {
        let export = hub
            .get(&format!("devices/export?format={format}"))
            .await
            .text;
        if format == "csv" {
            for cell in export.lines().skip(1).flat_map(|line| line.split(',')) {
                let cell = cell.trim_start_matches('"');
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t']), "{export}");
            }
            assert!(export.contains("\na,'=1+1,"), "{export}");
        }
        for (id, ..) in texts {
            assert_eq!(hub.delete(&format!("devices/{id}")).await.status, 200);
        }
        let begun = send(&hub, &format!("?format={format}"), FILE, export)
            .await
            .created();
        let made = done(&hub, &begun).await;
        assert_eq!(counts(&made), [5, 5, 0], "{:?}", rows(&hub, &made).await);
        for (one, other) in before.iter().zip(hub.list("devices").await) {
            for member in [
                "id",
                "name",
                "description",
                "labels",
                "metadata",
                "connectivity",
            ] {
                assert_eq!(one[member], other[member], "{format}: {member}");
            }
        }
    }
}

async fn what_cannot_be_stored_costs_its_row_alone(database: Database) {
    let hub = Hub::start(database).await;
    let lines = "{\"id\":\"a\"}\n{\"a\\u0000b\":1}\n{\"id\":\"b\",\"metadata\":{\"\\u0000\":1}}\n\
                 {\"id\":\"c\",\"name\":\"\\u0000\"}\n{\"id\":\"d\"}\n";
    let begun = send(&hub, "?format=ndjson", FILE, lines).await.created();
    let made = done(&hub, &begun).await;
    assert_eq!(counts(&made), [5, 2, 3], "{:?}", rows(&hub, &made).await);
    let file = b"id,name,metadata\na,\0,\nb,,\"{\"\"\\u0000\"\":1}\"\nc\0,,\nd,,{\0\n\xe9,,\ne,\xc3\xa9,\n";
    let made = import(&hub, &file[..]).await;
    assert_eq!(counts(&made), [6, 1, 5], "{:?}", rows(&hub, &made).await);
}
