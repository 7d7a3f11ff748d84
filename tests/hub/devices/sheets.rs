//! Spreadsheets: what they make of a file of devices, and how browsers and tools send it.

use serde_json::{Value, json};

use crate::{
    devices::importing::{FILE, counts, done, errors, import, send},
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(
    rows_of_commas_make_no_device,
    sheets_of_every_layout_are_read,
    what_a_sheet_is_not_is_refused,
    ids_that_became_numbers_are_refused,
    rows_may_end_early,
    an_export_passes_through_a_spreadsheet,
    what_cannot_be_stored_costs_its_row_alone,
);

const EMPTY_ROWS: &str = include_str!("../../sheets/empty_rows.csv");
const EXCEL_NUMBERS: &str = include_str!("../../sheets/excel_numbers.csv");
const HEADER_CASE: &str = include_str!("../../sheets/header_case.csv");
const SEMICOLON: &str = include_str!("../../sheets/semicolon.csv");
const SHORT_ROWS: &str = include_str!("../../sheets/short_rows.csv");

async fn rows(hub: &Hub, import: &Value) -> Vec<Value> {
    hub.list(&format!("devices/import/{}/rows", import["id"]))
        .await
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
    let refused = send(&hub, &hub.token, "", FILE, "id,name\n,\n,\n")
        .await
        .refused(400);
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
    let begun = send(&hub, &hub.token, "?format=ndjson", FILE, lines)
        .await
        .created();
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
    let found = errors(&hub, &made, "line").await;
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
        let error = send(&hub, &hub.token, "", FILE, file).await.refused(400);
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
    let found = errors(&hub, &made, "line").await;
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
    let found = errors(&hub, &made, "line").await;
    assert_eq!(found[0].0, 5);
    let start =
        "the row has 5 cells, but the header line has 4: a cell that contains a \",\" must be";
    assert!(found[0].1.starts_with(start), "{found:?}");
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
        let begun = send(&hub, &hub.token, &format!("?format={format}"), FILE, export)
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
    let begun = send(&hub, &hub.token, "?format=ndjson", FILE, lines)
        .await
        .created();
    let made = done(&hub, &begun).await;
    assert_eq!(counts(&made), [5, 2, 3], "{:?}", rows(&hub, &made).await);
    let file = b"id,name,metadata\na,\0,\nb,,\"{\"\"\\u0000\"\":1}\"\nc\0,,\nd,,{\0\n\xe9,,\ne,\xc3\xa9,\n";
    let made = import(&hub, &file[..]).await;
    assert_eq!(counts(&made), [6, 1, 5], "{:?}", rows(&hub, &made).await);
}
