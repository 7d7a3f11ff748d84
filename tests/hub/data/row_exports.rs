//! Rows as CSV, NDJSON and Parquet: the same rows in each, with their types, compressed or not.

use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use parquet::{
    basic::Compression,
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    rows::fill,
    server::Hub,
};

on_both_databases!(
    a_file_has_all_rows_in_typed_columns,
    fields_without_columns_get_the_type_of_their_values,
    lines_of_json_are_the_objects_of_the_list,
    texts_are_safe_in_spreadsheets_unless_raw,
    text_is_compressed_for_those_that_accept_it,
    every_format_takes_the_same_questions,
);

const COLUMNS: &str = "tenant_id, id, data_table_id, device_id, ts, data";
/// More than a group of a Parquet file.
const MANY: u32 = 20_700;

async fn table(hub: &Hub, columns: Value) -> i64 {
    let body = json!({"name": "t", "selector": "", "columns": columns});
    let table = hub.post("data-tables", &body).await.created();
    table["id"].as_i64().unwrap()
}

/// Adds a row with these data at a minute.
async fn add(hub: &Hub, table: i64, minute: usize, data: &Value) {
    let data = data.to_string().replace('\'', "''");
    let cast = match &hub.database {
        Database::Sqlite => "",
        Database::Postgres(_) => "::jsonb",
    };
    let at = format!("'2026-02-01T12:{minute:02}:00.000001+00:00'");
    let values = format!("1, ID, {table}, 'd', {at}, '{data}'{cast}");
    fill(hub, 1, "data_table_rows", COLUMNS, &values).await;
}

/// The bytes of a file, with its `Content-Encoding`.
async fn file(hub: &Hub, path: &str, accepts: &str) -> (Bytes, Option<String>) {
    let request = hub.request(Method::GET, path).bearer_auth(&hub.token);
    let request = request.header(header::ACCEPT_ENCODING, accepts);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let encoding = answer.headers().get(header::CONTENT_ENCODING);
    let encoding = encoding.map(|value| value.to_str().unwrap().to_owned());
    (answer.bytes().await.unwrap(), encoding)
}

async fn parquet(hub: &Hub, path: &str) -> SerializedFileReader<Bytes> {
    let (bytes, encoding) = file(hub, path, "gzip").await;
    assert_eq!(encoding, None, "the file itself is compressed");
    SerializedFileReader::new(bytes).unwrap()
}

/// Names and physical types of the columns.
fn columns(file: &SerializedFileReader<Bytes>) -> Vec<(String, String)> {
    let schema = file.metadata().file_metadata().schema_descr();
    let columns = schema.columns().iter();
    columns
        .map(|column| {
            let logical = column.logical_type_ref().map(|kind| format!("{kind:?}"));
            let logical = logical.unwrap_or_else(|| column.physical_type().to_string());
            (column.name().to_owned(), logical)
        })
        .collect()
}

/// The rows, each with its values by column.
fn rows(file: &SerializedFileReader<Bytes>) -> Vec<Vec<(String, Field)>> {
    let rows = file.get_row_iter(None).unwrap().map(Result::unwrap);
    rows.map(|row| {
        let values = row.get_column_iter();
        values
            .map(|(name, field)| (name.clone(), field.clone()))
            .collect()
    })
    .collect()
}

fn value<'a>(row: &'a [(String, Field)], column: &str) -> &'a Field {
    &row.iter().find(|(name, _)| name == column).unwrap().1
}

async fn a_file_has_all_rows_in_typed_columns(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(
        &hub,
        json!([
            {"path": "n", "type": "number", "unit": "°C"},
            {"path": "state", "type": "text"},
            {"path": "door.open", "type": "boolean"},
            {"path": "any", "type": "json"},
            {"path": "time", "type": "number"},
        ]),
    )
    .await;
    let path = format!("data-tables/{table}/rows.parquet");
    let empty = parquet(&hub, &path).await;
    assert_eq!(rows(&empty).len(), 0);
    assert_eq!(columns(&empty).len(), 7);

    let data = match &hub.database {
        Database::Sqlite => {
            "json_object('n', n.i + 0.5, 'state', 'on ' || n.i, 'door.open', json('true'))"
        }
        Database::Postgres(_) => {
            "jsonb_build_object('n', n.i + 0.5, 'state', 'on ' || n.i, 'door.open', true)"
        }
    };
    let at = "'2026-02-01T11:00:00+00:00'";
    let values = format!("1, ID, {table}, 'many', {at}, {data}");
    fill(&hub, MANY, "data_table_rows", COLUMNS, &values).await;
    let odd = json!({"n": -1, "state": "ä \"1\"", "any": {"x": [1, null]}, "time": 7});
    add(&hub, table, 0, &odd).await;
    // A row from the time before the columns were changed.
    let former = json!({"n": "text", "state": 3, "door.open": null, "any": 1.5});
    add(&hub, table, 1, &former).await;

    let whole = parquet(&hub, &path).await;
    let named: Vec<String> = columns(&whole).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "time",
        "device_id",
        "n",
        "state",
        "door.open",
        "any",
        "data.time",
    ];
    assert_eq!(named, expected);
    let kinds: Vec<String> = columns(&whole).into_iter().map(|(_, kind)| kind).collect();
    assert!(kinds[0].contains("Timestamp"), "{kinds:?}");
    assert_eq!(
        kinds[1..],
        ["String", "DOUBLE", "String", "BOOLEAN", "Json", "DOUBLE"]
    );
    let groups = whole.metadata().row_groups();
    assert_eq!(
        groups.len(),
        2,
        "a group is not larger than the memory for it"
    );
    let is_snappy = groups[0].column(0).compression() == Compression::SNAPPY;
    assert!(is_snappy);

    let rows = rows(&whole);
    assert_eq!(rows.len(), MANY as usize + 2);
    let mut numbers: Vec<f64> = rows[..MANY as usize]
        .iter()
        .map(|row| match (value(row, "n"), value(row, "state")) {
            (Field::Double(number), Field::Str(state)) => {
                assert_eq!(*state, format!("on {}", number.floor()));
                assert_eq!(*value(row, "door.open"), Field::Bool(true));
                assert_eq!(*value(row, "device_id"), Field::Str("many".into()));
                *number
            }
            other => panic!("{other:?}"),
        })
        .collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let all = (1..=MANY).map(|number| f64::from(number) + 0.5);
    assert!(numbers.into_iter().eq(all), "each row once");

    let odd = &rows[MANY as usize];
    let micros = "2026-02-01T12:00:00.000001Z".parse::<chrono::DateTime<chrono::Utc>>();
    let micros = micros.unwrap().timestamp_micros();
    assert_eq!(*value(odd, "time"), Field::TimestampMicros(micros));
    assert_eq!(*value(odd, "n"), Field::Double(-1.0));
    assert_eq!(*value(odd, "state"), Field::Str("ä \"1\"".into()));
    assert_eq!(*value(odd, "door.open"), Field::Null);
    assert_eq!(*value(odd, "data.time"), Field::Double(7.0));
    let any = match value(odd, "any") {
        Field::Str(text) => serde_json::from_str::<Value>(text).unwrap(),
        Field::Bytes(bytes) => serde_json::from_slice(bytes.data()).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(any, json!({"x": [1, null]}));
    let former = &rows[MANY as usize + 1];
    for column in ["n", "state", "door.open", "data.time"] {
        assert_eq!(*value(former, column), Field::Null, "{column}");
    }
}

async fn fields_without_columns_get_the_type_of_their_values(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, Value::Null).await;
    let path = format!("data-tables/{table}/rows.parquet");
    assert_eq!(columns(&parquet(&hub, &path).await).len(), 2);
    for (minute, data) in [
        json!({"t": 21.5, "mixed": 1, "none": null, "door": {"open": true}}),
        json!({"t": null, "mixed": "a", "ok": true}),
        json!({"t": 22, "name": "x"}),
    ]
    .iter()
    .enumerate()
    {
        add(&hub, table, minute, data).await;
    }
    let whole = parquet(&hub, &path).await;
    let kinds = columns(&whole);
    let expected = [
        ("door", "Json"),
        ("mixed", "Json"),
        ("name", "String"),
        ("none", "Json"),
        ("ok", "BOOLEAN"),
        ("t", "DOUBLE"),
    ];
    let expected = expected.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(kinds[2..], expected);
    let rows = rows(&whole);
    assert_eq!(*value(&rows[0], "t"), Field::Double(21.5));
    assert_eq!(*value(&rows[1], "t"), Field::Null);
    assert_eq!(*value(&rows[2], "t"), Field::Double(22.0));
    // A page has the columns of its rows.
    let page = parquet(&hub, &format!("{path}?limit=1&sort=-time")).await;
    assert_eq!(columns(&page).len(), 4);
}

async fn lines_of_json_are_the_objects_of_the_list(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, Value::Null).await;
    let path = format!("data-tables/{table}/rows");
    assert_eq!(hub.get(&format!("{path}.ndjson")).await.text, "");
    for minute in 0..3 {
        let data = json!({"n": minute, "text": "=1+1\nä", "deep": {"x": [null, 1.5]}});
        add(&hub, table, minute, &data).await;
    }
    let answer = hub.get(&format!("{path}.ndjson")).await;
    assert_eq!(
        answer.headers["content-type"],
        "application/x-ndjson; charset=utf-8"
    );
    assert!(answer.text.ends_with('\n'));
    let lines = answer.text.lines();
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, hub.list(&path).await);
}

async fn texts_are_safe_in_spreadsheets_unless_raw(database: Database) {
    let hub = Hub::start(database).await;
    let columns = json!([
        {"path": "t", "type": "number", "unit": "°C"},
        {"path": "=f", "type": "text"},
        {"path": "p", "type": "number", "unit": "=x"},
    ]);
    let table = table(&hub, columns).await;
    add(&hub, table, 0, &json!({"t": -1.5, "=f": "=1+1"})).await;
    let path = format!("data-tables/{table}/rows.csv");
    let lines = async |query: &str| {
        let text = hub.get(&format!("{path}?{query}")).await.text;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines[0].clone(), lines[1].clone())
    };
    let at = "2026-02-01T12:00:00.000001Z,d";
    let (header, row) = lines("").await;
    assert_eq!(header, "time,device_id,t,'=f,p");
    assert_eq!(row, format!("{at},-1.5,'=1+1,"));
    let (header, row) = lines("raw=true").await;
    assert_eq!(header, "time,device_id,t,=f,p");
    assert_eq!(row, format!("{at},-1.5,=1+1,"));
    let (header, _) = lines("units=true&limit=5").await;
    assert_eq!(header, "time,device_id,t [°C],'=f,p [=x]");
}

async fn text_is_compressed_for_those_that_accept_it(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, Value::Null).await;
    let values = format!("1, ID, {table}, 'd', '2026-02-01T11:00:00+00:00', '{{\"n\": 1}}'");
    fill(&hub, 1200, "data_table_rows", COLUMNS, &values).await;
    for format in ["csv", "ndjson"] {
        let path = format!("data-tables/{table}/rows.{format}");
        let plain = hub.get(&path).await;
        assert!(!plain.headers.contains_key(header::CONTENT_ENCODING));
        assert_eq!(plain.headers[header::VARY], "Accept-Encoding");
        for accepts in ["gzip", "br, gzip;q=0.5"] {
            let (bytes, encoding) = file(&hub, &path, accepts).await;
            assert_eq!(encoding.as_deref(), Some("gzip"));
            assert!(bytes.len() * 5 < plain.text.len(), "{}", bytes.len());
            let mut text = String::new();
            GzDecoder::new(&bytes[..])
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(text, plain.text);
        }
        for accepts in ["identity", "gzip;q=0", "br"] {
            let (bytes, encoding) = file(&hub, &path, accepts).await;
            assert_eq!((encoding, bytes.len()), (None, plain.text.len()));
        }
    }
}

async fn every_format_takes_the_same_questions(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, Value::Null).await;
    for minute in 0..9 {
        add(&hub, table, minute, &json!({"n": minute})).await;
    }
    let span = "from=2026-02-01&to=2026-02-01T12:07:00Z";
    let query = format!("{span}&device_id=d&filter=n%3E1&sort=-time");
    let path = |format: &str| format!("data-tables/{table}/rows.{format}?{query}");
    let of_parquet = |file: &SerializedFileReader<Bytes>| -> Vec<f64> {
        let rows = rows(file);
        rows.iter()
            .map(|row| match value(row, "n") {
                Field::Double(number) => *number,
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let whole = parquet(&hub, &path("parquet")).await;
    assert_eq!(of_parquet(&whole), [6.0, 5.0, 4.0, 3.0, 2.0]);
    let text = hub.get(&path("ndjson")).await.text;
    assert_eq!(text.lines().count(), 5);
    assert!(text.lines().next().unwrap().contains("\"n\":6"), "{text}");

    // Pages: each a file of its own, linked to the next.
    let mut next = format!("{}&limit=2", path("parquet"));
    let mut found = Vec::new();
    let mut pages = 0;
    loop {
        let request = hub.request(Method::GET, &next).bearer_auth(&hub.token);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{next}");
        let link = answer.headers().get(header::LINK).cloned();
        let bytes = answer.bytes().await.unwrap();
        found.extend(of_parquet(&SerializedFileReader::new(bytes).unwrap()));
        pages += 1;
        let Some(link) = link else { break };
        let link = link.to_str().unwrap().trim_start_matches("</api/v3/");
        next = link.split('>').next().unwrap().to_owned();
    }
    assert_eq!((pages, found), (3, vec![6.0, 5.0, 4.0, 3.0, 2.0]));
    for format in ["csv", "ndjson", "parquet"] {
        let path = format!("data-tables/{table}/rows.{format}");
        let error = hub.get(&format!("{path}?filter=n")).await.refused(400);
        assert!(error.starts_with("filter: n: "), "{error}");
        let unknown = format!("data-tables/9999/rows.{format}");
        hub.get(&unknown).await.refused(404);
    }
    let error = hub
        .get(&format!("data-tables/{table}/rows.ndjson?raw=true"))
        .await;
    assert!(error.refused(400).contains("raw"));
}
