//! Devices as rows of a CSV file.

use serde_json::{Map, Value, json};

use crate::{
    api::{
        devices::row::{Read, Unreadable, read_value},
        http::{
            csv_guard::{guarded, guarded_id, is_blank, read_id, read_text, whole_number},
            csv_layout,
            csv_records::{self, Cells, Layout, Record, Records},
            json,
            types::JsonObject,
        },
    },
    error::Error,
    store::devices::NewDevice,
    text::DeviceId,
};

/// Separator between labels, and between several addresses of a device.
const SEPARATOR: char = ';';
/// Columns of a CSV file, in the order of an export.
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
/// Columns that contain ids: blanks around an id are ignored, and a spreadsheet must not turn it into a number.
const IDS: [&str; 4] = ["id", "driver", "network_connection_id", "network_device_id"];
/// Minimum similarity (0 to 1) of an unknown name and a column for the column to be suggested.
const ALIKE: f64 = 0.5;

/// A CSV file whose header line has been read. Iterates over its rows and their line numbers.
pub struct Sheet<'a> {
    records: Records<'a>,
    layout: Layout,
    cells: Cells,
    /// Columns in the order of the file; `None` for a column without a name, whose cells must be empty.
    columns: Vec<Option<&'static str>>,
    /// Index in the file of each of [`COLUMNS`].
    places: [Option<usize>; COLUMNS.len()],
}

impl<'a> Sheet<'a> {
    /// Reads the header line. A row may have at most `row_max` bytes.
    pub fn open(file: &'a [u8], row_max: usize) -> Result<Self, Error> {
        let layout = csv_layout::detect(file, row_max, |name| column(name).is_some())?;
        let mut records = Records::new(file, layout, row_max);
        let mut cells = Cells::new(layout.delimiter);
        let broken = |line: i64, rule: String| match line {
            1 => Error::field("header line", rule),
            _ => Error::field(&format!("header line (line {line})"), rule),
        };
        loop {
            let Some(Record { line, bytes }) = records.next() else {
                return Err(Error::field("body", "must start with a header line"));
            };
            let names = bytes
                .and_then(|bytes| cells.of(bytes))
                .map_err(|rule| broken(line, rule))?;
            if names.iter().all(|name| is_blank(name)) {
                continue;
            }
            let columns = columns(&names).map_err(|rule| broken(line, rule))?;
            let place = |name| columns.iter().position(|column| *column == Some(name));
            return Ok(Self {
                records,
                layout,
                cells,
                places: COLUMNS.map(place),
                columns,
            });
        }
    }

    /// Returns the character that separates cells.
    pub fn delimiter(&self) -> char {
        self.layout.delimiter.into()
    }

    /// Reads the device of a row; `None` if the row is empty.
    fn read(&mut self, record: &[u8]) -> Option<Read> {
        let delimiter = self.layout.delimiter;
        let is_nothing = |byte: &u8| *byte == delimiter || byte.is_ascii_whitespace();
        if record.iter().all(is_nothing) {
            return None;
        }
        match self.cells.of(record) {
            Err(rule) => Some(Err(Unreadable::nameless(rule))),
            Ok(cells) if cells.iter().all(|cell| is_blank(cell)) => None,
            Ok(cells) => Some(self.read_cells(&cells)),
        }
    }

    fn read_cells(&self, cells: &[String]) -> Read {
        self.check_surplus(cells).map_err(Unreadable::nameless)?;
        // Cells that are missing at the end of a row are empty, because spreadsheets omit trailing delimiters.
        let cell = |name: &str| -> Result<Option<&str>, String> {
            let column = COLUMNS.iter().position(|column| *column == name);
            let place = column.and_then(|column| self.places[column]);
            let Some(cell) = place.and_then(|place| cells.get(place)) else {
                return Ok(None);
            };
            let read = if IDS.contains(&name) {
                read_id(cell)
            } else {
                read_text(cell)
            };
            let text = read.map_err(|rule| format!("{name}: {rule}"))?;
            Ok(Some(text).filter(|text| !text.is_empty()))
        };
        let id = cell("id").ok().flatten();
        let id = id.and_then(|id| DeviceId::new(id).ok());
        let id = id.map(DeviceId::into_string);
        let device = device(cell).map_err(|error| Unreadable {
            device_id: id,
            error,
        })?;
        read_value(Value::Object(device)).map_err(|unreadable| Unreadable {
            error: of_column(&unreadable.error),
            ..unreadable
        })
    }

    fn check_surplus(&self, cells: &[String]) -> Result<(), String> {
        csv_records::check_surplus(cells, self.columns.len(), self.layout)?;
        let nameless = |(_, (column, cell)): &(usize, (&Option<&str>, &String))| {
            column.is_none() && !is_blank(cell)
        };
        let mut pairs = (1..).zip(self.columns.iter().zip(cells));
        match pairs.find(nameless) {
            Some((number, _)) => Err(format!(
                "column {number}: must be empty, because the header line gives it no name"
            )),
            None => Ok(()),
        }
    }
}

impl Iterator for Sheet<'_> {
    type Item = (i64, Read);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Record { line, bytes } = self.records.next()?;
            let read = match bytes {
                Ok(bytes) => self.read(bytes),
                Err(rule) => Some(Err(Unreadable::nameless(rule))),
            };
            if let Some(read) = read {
                return Some((line, read));
            }
        }
    }
}

/// Returns the column with a name of the header line, regardless of case, blanks and dashes.
fn column(name: &str) -> Option<&'static str> {
    let name = name.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    COLUMNS.iter().find(|column| **column == name).copied()
}

fn columns(names: &[String]) -> Result<Vec<Option<&'static str>>, String> {
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        if is_blank(name) {
            columns.push(None);
            continue;
        }
        let column = column(name).ok_or_else(|| unknown(name))?;
        if columns.contains(&Some(column)) {
            return Err(format!("column \"{column}\" must not be repeated"));
        }
        columns.push(Some(column));
    }
    Ok(columns)
}

fn unknown(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    if name.trim_start().starts_with(['{', '[']) {
        return "must name columns; send a file of JSON lines with format=ndjson".to_owned();
    }
    let known = COLUMNS.join(", ");
    let folded = name.to_lowercase();
    let alike = |column: &str| strsim::normalized_damerau_levenshtein(&folded, column);
    let nearest = COLUMNS
        .iter()
        .max_by(|one, other| alike(one).total_cmp(&alike(other)));
    match nearest.filter(|nearest| alike(nearest) >= ALIKE) {
        Some(nearest) => {
            format!(
                "column \"{name}\" is unknown; did you mean \"{nearest}\"? Known columns: {known}"
            )
        }
        None => format!("column \"{name}\" is unknown. Known columns: {known}"),
    }
}

/// Converts the cells of a row to a body of `POST /devices`.
fn device<'a>(
    cell: impl Fn(&str) -> Result<Option<&'a str>, String>,
) -> Result<Map<String, Value>, String> {
    let mut device = Map::new();
    for name in ["id", "name", "description", "driver"] {
        if let Some(text) = cell(name)? {
            device.insert(name.to_owned(), text.into());
        }
    }
    if let Some(labels) = cell("labels")? {
        let labels: Vec<&str> = labels.split(SEPARATOR).map(str::trim).collect();
        device.insert("labels".to_owned(), json!(labels));
    }
    if let Some(metadata) = cell("metadata")? {
        let metadata = json::parse::<JsonObject>(metadata.as_bytes()).map_err(|error| {
            let error = error.to_string();
            let rule = error.strip_prefix("body: ").unwrap_or(&error);
            format!("metadata: {rule}")
        })?;
        device.insert("metadata".to_owned(), Value::Object(metadata.0));
    }
    let addresses = addresses(cell("network_connection_id")?, cell("network_device_id")?)?;
    if !addresses.is_empty() {
        device.insert("connectivity".to_owned(), json!({"connections": addresses}));
    }
    Ok(device)
}

fn addresses(connections: Option<&str>, ids: Option<&str>) -> Result<Vec<Value>, String> {
    let (connections, ids) = match (connections, ids) {
        (None, None) => return Ok(Vec::new()),
        (Some(connections), Some(ids)) => (connections, ids),
        (None, Some(_)) => {
            return Err(
                "network_connection_id: is required if network_device_id is given".to_owned(),
            );
        }
        (Some(_), None) => {
            return Err(
                "network_device_id: is required if network_connection_id is given".to_owned(),
            );
        }
    };
    let connections: Vec<&str> = connections.split(SEPARATOR).collect();
    // An id in a network may itself contain the separator.
    let ids: Vec<&str> = match connections.len() {
        1 => vec![ids],
        _ => ids.split(SEPARATOR).collect(),
    };
    if ids.len() != connections.len() {
        let (has, wanted) = (ids.len(), connections.len());
        return Err(format!(
            "network_device_id: has {has} values, but network_connection_id has {wanted}"
        ));
    }
    let address = |(connection, id): (&&str, &&str)| {
        let connection = whole_number(connection)
            .ok_or("network_connection_id: must be an integer, such as 3")?;
        Ok(json!({"network_connection_id": connection, "network_device_id": id}))
    };
    connections.iter().zip(&ids).map(address).collect()
}

/// Replaces the JSON path in an error by the name of the column.
pub fn of_column(error: &str) -> String {
    let Some(rest) = error.strip_prefix("connectivity.connections") else {
        return error.to_owned();
    };
    // The rest is `[0].network_device_id: rule`, `.network_device_id: rule` or `: rule`.
    let field = rest
        .starts_with(['[', '.'])
        .then(|| rest.split_once('.'))
        .flatten();
    match field {
        Some((_, field)) => field.to_owned(),
        None => format!("network_device_id{rest}"),
    }
}

// --- Writing

/// Returns the CSV rows of devices.
pub fn write(devices: &[NewDevice]) -> Result<String, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for device in devices {
        writer
            .write_record(record(device))
            .map_err(Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(Error::internal)?;
    String::from_utf8(bytes).map_err(Error::internal)
}

fn record(device: &NewDevice) -> [String; 8] {
    let join = |parts: Vec<String>| parts.join(&SEPARATOR.to_string());
    let addresses = &device.connections;
    let connections = addresses
        .iter()
        .map(|address| address.network_connection_id.to_string());
    let ids = addresses
        .iter()
        .map(|address| address.network_device_id.clone());
    let metadata = match device.metadata.is_empty() {
        true => String::new(),
        false => json!(device.metadata).to_string(),
    };
    [
        guarded_id(&device.id).into_owned(),
        guarded(&device.name).into_owned(),
        guarded(&device.description).into_owned(),
        guarded_id(device.driver.as_deref().unwrap_or_default()).into_owned(),
        guarded(&join(device.labels.clone())).into_owned(),
        join(connections.collect()),
        guarded_id(&join(ids.collect())).into_owned(),
        guarded(&metadata).into_owned(),
    ]
}
