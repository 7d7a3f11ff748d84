//! Files of devices: CSV and NDJSON, read for an import and written by an export.
//!
//! A row is read into the body of `POST /devices` and obeys the same rules; what is wrong with it is
//! said of that row alone.

use serde_json::{Map, Value, json};

use super::{
    body,
    csv_records::{Records, cells, too_long},
    devices::NewDeviceBody,
    types::JsonObject,
};
use crate::{
    error::Error,
    id::new_uuid,
    store::{
        device_imports::{Row, rows_to_text},
        devices::NewDevice,
    },
    text::DeviceId,
};

/// Most rows of one import.
pub const ROWS_MAX: i64 = 1_000_000;
/// Rows that are done in one transaction.
const BATCH: usize = 500;
/// What separates labels, and the addresses of a device that has several.
const SEPARATOR: char = ';';
/// The columns of a CSV file, in the order of an export.
pub const COLUMNS: [&str; 8] = [
    "id",
    "name",
    "description",
    "driver",
    "labels",
    "network_connection_id",
    "network_device_id",
    "metadata",
];

/// What rows are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, with a header line (RFC 4180).
    Csv,
    /// A JSON object a line.
    Ndjson,
}

/// The rows of a file.
pub struct Rows {
    /// How many.
    pub total: i64,
    /// In batches, each with the number of its first row.
    pub batches: Vec<(i64, String)>,
}

impl Format {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv",
            Format::Ndjson => "application/x-ndjson",
        }
    }

    /// Reads a file; refused is only what says nothing of any row. A row has at most `row_max` bytes.
    pub fn read(self, file: &[u8], row_max: usize) -> Result<Rows, Error> {
        // Spreadsheets like to begin with a byte order mark.
        let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        match self {
            Format::Csv => read_csv(file, row_max),
            Format::Ndjson => {
                let lines = file.split(|byte| *byte == b'\n');
                let filled = lines.filter(|line| !line.trim_ascii().is_empty());
                gather(filled.map(|line| match line.len() > row_max {
                    true => Err((None, too_long(row_max))),
                    false => read_line(line),
                }))
            }
        }
    }

    /// The start of a file.
    pub fn head(self) -> String {
        match self {
            Format::Csv => COLUMNS.join(",") + "\n",
            Format::Ndjson => String::new(),
        }
    }

    /// The rows of some devices.
    pub fn write(self, devices: &[NewDevice]) -> Result<String, Error> {
        match self {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                for device in devices {
                    writer
                        .write_record(record(device))
                        .map_err(Error::internal)?;
                }
                let bytes = writer.into_inner().map_err(Error::internal)?;
                String::from_utf8(bytes).map_err(Error::internal)
            }
            Format::Ndjson => {
                let lines = devices.iter().map(|device| line(device).to_string() + "\n");
                Ok(lines.collect())
            }
        }
    }
}

/// A device that was read; or the id it would have, where it can be told, and why it cannot be.
type Read = Result<NewDevice, (Option<String>, String)>;

fn gather(rows: impl Iterator<Item = Read>) -> Result<Rows, Error> {
    let mut total = 0;
    let mut batches = Vec::new();
    let mut batch = Vec::with_capacity(BATCH);
    for read in rows {
        total += 1;
        if total > ROWS_MAX {
            return Err(Error::field(
                "body",
                format!("must have at most {ROWS_MAX} rows"),
            ));
        }
        batch.push(match read {
            Ok(device) => Row {
                number: total,
                device_id: Some(device.id.clone()),
                content: Ok(device),
            },
            Err((device_id, error)) => Row {
                number: total,
                device_id,
                content: Err(error),
            },
        });
        if batch.len() == BATCH {
            batches.push((batch[0].number, rows_to_text(&batch)?));
            batch.clear();
        }
    }
    if let Some(first) = batch.first() {
        batches.push((first.number, rows_to_text(&batch)?));
    }
    if total == 0 {
        return Err(Error::field("body", "must have at least one row"));
    }
    Ok(Rows { total, batches })
}

fn read_line(line: &[u8]) -> Read {
    let value = body::parse::<Value>(line).map_err(|error| (None, error.to_string()))?;
    read_value(value)
}

fn read_value(value: Value) -> Read {
    let id = value["id"].as_str();
    let id = id
        .and_then(|id| DeviceId::new(id).ok())
        .map(DeviceId::into_string);
    body::from_value::<NewDeviceBody>(value)
        .map(NewDeviceBody::provisioned)
        .map(|device| match device.id.is_empty() {
            // Now, so that a row that is done again is the same device.
            true => NewDevice {
                id: new_uuid().to_string(),
                ..device
            },
            false => device,
        })
        .map_err(|error| (id, error.to_string()))
}

// --- CSV

fn read_csv(file: &[u8], row_max: usize) -> Result<Rows, Error> {
    let mut records = Records::new(file, row_max);
    let header = loop {
        match records.next() {
            None => return Err(Error::field("body", "must start with a header line")),
            Some(Ok(record)) if record.trim_ascii().is_empty() => {}
            Some(record) => break record.map_err(|rule| Error::field("header line", rule))?,
        }
    };
    let columns = header_of(header)?;
    let filled = records.filter(|record| {
        !record
            .as_ref()
            .is_ok_and(|bytes| bytes.trim_ascii().is_empty())
    });
    gather(filled.map(|record| {
        let record = record.map_err(|rule| (None, rule))?;
        read_record(&columns, record)
    }))
}

fn header_of(record: &[u8]) -> Result<Vec<&'static str>, Error> {
    let names = cells(record).map_err(|rule| Error::field("header line", rule))?;
    let mut columns = Vec::with_capacity(names.len());
    for name in &names {
        let Some(column) = COLUMNS.iter().find(|column| **column == name.trim()) else {
            let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
            let known = COLUMNS.join(", ");
            return Err(Error::field(
                "header line",
                format!("column \"{name}\" is unknown; there are {known}"),
            ));
        };
        if columns.contains(column) {
            return Err(Error::field(
                "header line",
                format!("column \"{column}\" must not be repeated"),
            ));
        }
        columns.push(*column);
    }
    Ok(columns)
}

fn read_record(columns: &[&'static str], record: &[u8]) -> Read {
    let cells = cells(record).map_err(|rule| (None, rule))?;
    if cells.len() != columns.len() {
        let (has, wanted) = (cells.len(), columns.len());
        let error = format!("the row has {has} fields, and the header line has {wanted}");
        return Err((None, error));
    }
    let cell = |name: &str| {
        let column = columns.iter().position(|column| *column == name)?;
        cells
            .get(column)
            .map(String::as_str)
            .filter(|cell| !cell.is_empty())
    };
    let id = || {
        let id = cell("id").and_then(|id| DeviceId::new(id).ok());
        id.map(DeviceId::into_string)
    };
    let mut device = Map::new();
    for name in ["id", "name", "description", "driver"] {
        if let Some(text) = cell(name) {
            device.insert(name.to_owned(), text.into());
        }
    }
    if let Some(labels) = cell("labels") {
        let labels: Vec<&str> = labels.split(SEPARATOR).collect();
        device.insert("labels".to_owned(), json!(labels));
    }
    if let Some(metadata) = cell("metadata") {
        let metadata = body::parse::<JsonObject>(metadata.as_bytes()).map_err(|error| {
            let error = error.to_string();
            let rule = error.strip_prefix("body: ").unwrap_or(&error);
            (id(), format!("metadata: {rule}"))
        })?;
        device.insert("metadata".to_owned(), Value::Object(metadata.0));
    }
    let addresses = addresses(cell("network_connection_id"), cell("network_device_id"))
        .map_err(|error| (id(), error))?;
    if !addresses.is_empty() {
        device.insert("connectivity".to_owned(), json!({"connections": addresses}));
    }
    read_value(Value::Object(device)).map_err(|(id, error)| (id, of_column(&error)))
}

fn addresses(connections: Option<&str>, ids: Option<&str>) -> Result<Vec<Value>, String> {
    let (connections, ids) = match (connections, ids) {
        (None, None) => return Ok(Vec::new()),
        (Some(connections), Some(ids)) => (connections, ids),
        (None, Some(_)) => {
            return Err("network_connection_id: is required beside network_device_id".to_owned());
        }
        (Some(_), None) => {
            return Err("network_device_id: is required beside network_connection_id".to_owned());
        }
    };
    let connections: Vec<&str> = connections.split(SEPARATOR).collect();
    // The id in a network may itself hold the separator.
    let ids: Vec<&str> = match connections.len() {
        1 => vec![ids],
        _ => ids.split(SEPARATOR).collect(),
    };
    if ids.len() != connections.len() {
        let (has, wanted) = (ids.len(), connections.len());
        return Err(format!(
            "network_device_id: has {has} parts, and network_connection_id has {wanted}"
        ));
    }
    let address = |(connection, id): (&&str, &&str)| {
        let connection: i64 = connection
            .trim()
            .parse()
            .map_err(|_| "network_connection_id: must be an integer".to_owned())?;
        Ok(json!({"network_connection_id": connection, "network_device_id": id}))
    };
    connections.iter().zip(&ids).map(address).collect()
}

/// The place of an error as the columns are named.
fn of_column(error: &str) -> String {
    match error.strip_prefix("connectivity.connections") {
        Some(rest) => match rest.split_once("].") {
            Some((_, rest)) => rest.to_owned(),
            None => format!("network_device_id{rest}"),
        },
        None => error.to_owned(),
    }
}

// --- Writing

fn record(device: &NewDevice) -> [String; 8] {
    let join = |parts: Vec<String>| parts.join(&SEPARATOR.to_string());
    let addresses = &device.connections;
    [
        device.id.clone(),
        device.name.clone(),
        device.description.clone(),
        device.driver.clone().unwrap_or_default(),
        join(device.labels.clone()),
        join(
            addresses
                .iter()
                .map(|address| address.network_connection_id.to_string())
                .collect(),
        ),
        join(
            addresses
                .iter()
                .map(|address| address.network_device_id.clone())
                .collect(),
        ),
        if device.metadata.is_empty() {
            String::new()
        } else {
            json!(device.metadata).to_string()
        },
    ]
}

fn line(device: &NewDevice) -> Value {
    let NewDevice {
        id,
        name,
        description,
        driver,
        labels,
        metadata,
        connections,
    } = device;
    json!({
        "id": id,
        "name": name,
        "description": description,
        "driver": driver,
        "labels": labels,
        "metadata": metadata,
        "connectivity": {"connections": connections},
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(format: Format, file: &[u8]) -> Result<Vec<Row>, Error> {
        let rows = format.read(file, 1000)?;
        let batch = |(_, text): &(i64, String)| serde_json::from_str::<Vec<Row>>(text).unwrap();
        Ok(rows.batches.iter().flat_map(batch).collect())
    }

    fn outcomes(file: &str) -> Vec<Result<String, String>> {
        let rows = rows(Format::Csv, file.as_bytes()).unwrap();
        let id = |row: Row| row.content.map(|device| device.id);
        rows.into_iter().map(id).collect()
    }

    #[test]
    fn a_broken_row_costs_no_other() {
        let file = "id,description\na,\"two\nlines, \"\"quoted\"\"\"\nb,\"open\nc,\"x\"\nd,\"x\" y\n\ne\nf,\r\ng,\"last";
        let found = outcomes(file);
        let ids: Vec<&str> = found
            .iter()
            .map(|row| {
                row.as_ref()
                    .map_or_else(|error| &error[..9], String::as_str)
            })
            .collect();
        assert_eq!(
            ids,
            [
                "a",
                "a quote i",
                "c",
                "a quote i",
                "the row h",
                "f",
                "a quote i"
            ]
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_one_row_of_many() {
        let mut file = "id,name\n".to_owned();
        for number in 1..=10_000 {
            let quote = if number == 7_001 { "\"" } else { "" };
            file += &format!("d{number},{quote}n{number}\n");
        }
        let found = outcomes(&file);
        assert_eq!(found.len(), 10_000);
        let failed: Vec<usize> = (0..10_000).filter(|row| found[*row].is_err()).collect();
        assert_eq!(failed, [7_000]);
    }

    #[test]
    fn errors_name_the_column() {
        for (row, expected) in [
            ("-,,", "id: must be letters"),
            ("a,[,", "metadata: is not valid JSON"),
            ("a,[],", "metadata: must be an object"),
            ("a,,x;", "labels[1]: must have 1 to 120"),
            ("a,,x;x", "labels: must not have the same"),
        ] {
            let file = format!("id,metadata,labels\n{row}\n");
            let error = outcomes(&file).remove(0).unwrap_err();
            assert!(error.starts_with(expected), "{row}: {error}");
        }
        for (row, expected) in [
            ("1,", "network_device_id: is required"),
            ("x,A", "network_connection_id: must be an integer"),
            ("0,A", "network_connection_id: must be an integer from 1"),
            ("1;2,A", "network_device_id: has 1 parts"),
            ("1;1,A;A", "network_device_id: must not have the same item"),
        ] {
            let file = format!("network_connection_id,network_device_id\n{row}\n");
            let error = outcomes(&file).remove(0).unwrap_err();
            assert!(error.starts_with(expected), "{row}: {error}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_meant_is_refused() {
        for (file, expected) in [
            ("", "body: must start with a header"),
            ("id\n", "body: must have at least one row"),
            (
                "id,colour\na,b\n",
                "header line: column \"colour\" is unknown",
            ),
            (
                "id,id\na,b\n",
                "header line: column \"id\" must not be repeated",
            ),
            ("\"id\na\n", "header line: a quote is opened"),
        ] {
            let error = Format::Csv
                .read(file.as_bytes(), 1000)
                .err()
                .unwrap()
                .to_string();
            assert!(error.starts_with(expected), "{file:?}: {error}");
        }
    }

    fn device() -> impl Strategy<Value = NewDevice> {
        let address = (1..1000_i64, "[A-Z0-9\"]{1,16}").prop_map(|(connection, id)| {
            crate::store::devices::Address {
                network_connection_id: connection,
                network_device_id: id,
            }
        });
        (
            "[a-z0-9]{1,20}",
            "[^\\p{Cc}]{0,20}",
            "[a-z,\"\r\n\t ;]{0,30}",
            proptest::option::of(Just("a/b:1".to_owned())),
            proptest::collection::btree_set("[a-zü=]{1,10}", 0..4),
            proptest::collection::vec(address, 0..3),
            "[^\\p{Cc}]{0,10}",
        )
            .prop_map(
                |(id, name, description, driver, labels, connections, note)| NewDevice {
                    id,
                    name,
                    description,
                    driver,
                    labels: labels.into_iter().collect(),
                    metadata: json!({"note": note}).as_object().unwrap().clone(),
                    connections,
                },
            )
    }

    proptest! {
        #[test]
        fn survives_any_bytes(mut file in proptest::collection::vec(any::<u8>(), 0..200), with_header: bool) {
            if with_header {
                file.splice(0..0, *b"id,name,labels\n");
            }
            for format in [Format::Csv, Format::Ndjson] {
                if let Ok(rows) = rows(format, &file) {
                    for (index, row) in rows.iter().enumerate() {
                        prop_assert_eq!(row.number, index as i64 + 1);
                        if let Err(error) = &row.content {
                            prop_assert!(!error.is_empty());
                        }
                    }
                }
            }
        }

        #[test]
        fn survives_pieces_of_csv(pieces in proptest::collection::vec("[a\",;\r\n]|\"\"|,\"", 0..60)) {
            let file = format!("id,name\n{}", pieces.concat());
            if let Ok(rows) = rows(Format::Csv, file.as_bytes()) {
                for row in rows {
                    if let Err(error) = row.content {
                        let places = ["id: ", "name: ", "the row has ", "a quote ", "a row ", "the quotes "];
                        prop_assert!(places.iter().any(|place| error.starts_with(place)), "{}", error);
                    }
                }
            }
        }

        #[test]
        fn survives_pieces_of_ndjson(
            pieces in proptest::collection::vec("[{}:,\"a\n ]|\\[|\\]|\"id\":|\"labels\":|null|1", 0..40)
        ) {
            if let Ok(rows) = rows(Format::Ndjson, pieces.concat().as_bytes()) {
                for row in rows {
                    if let Err(error) = row.content {
                        let place = error.split_once(": ").map(|(place, _)| place);
                        prop_assert!(place.is_some_and(|place| !place.is_empty()), "{}", error);
                    }
                }
            }
        }

        #[test]
        fn reads_what_it_writes(mut devices in proptest::collection::vec(device(), 1..4)) {
            for device in &mut devices {
                // Of equal addresses one is refused.
                device.connections.dedup();
                if let [one, other, ..] = &mut device.connections[..] {
                    other.network_connection_id = one.network_connection_id + 1;
                }
            }
            for format in [Format::Csv, Format::Ndjson] {
                let file = format.head() + &format.write(&devices).unwrap();
                let found = rows(format, file.as_bytes()).unwrap();
                let read: Vec<_> = found.into_iter().map(|row| row.content).collect();
                let expected: Vec<_> = devices.iter().cloned().map(Ok).collect();
                prop_assert_eq!(read, expected);
            }
        }
    }
}
