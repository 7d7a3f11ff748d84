//! Rows as CSV (RFC 4180), with a header line.

use serde_json::{Map, Value, json};

use super::row::{Fields, Read, Unreadable, no_columns, rule};
use crate::{
    api::{
        data::columns::ColumnType,
        http::{
            csv_guard::{is_blank, read_text},
            csv_layout,
            csv_records::{self, Cells, Layout, Record, Records},
        },
    },
    error::Error,
};

/// A CSV file whose header line has been read. Iterates over its rows and their line numbers.
pub struct Sheet<'a> {
    records: Records<'a>,
    layout: Layout,
    cells: Cells,
    /// Contents of the columns, in the order of the file.
    places: Vec<Place>,
    fields: Fields<'a>,
    is_raw: bool,
}

/// Content of a column of the file.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    Time,
    DeviceId,
    /// Values of a field; without a type, each cell has its own.
    Field(String, Option<ColumnType>),
    /// A column without a name, whose cells must be empty.
    Nameless,
}

impl<'a> Sheet<'a> {
    /// Reads the header line. A row may have at most `row_max` bytes.
    pub fn open(
        file: &'a [u8],
        fields: Fields<'a>,
        is_raw: bool,
        row_max: usize,
    ) -> Result<Self, Error> {
        let is_known = |name: &str| match place(&fields, is_raw, name) {
            Some(Place::Time | Place::DeviceId) => true,
            Some(Place::Field(..)) => fields.columns.is_some(),
            Some(Place::Nameless) | None => false,
        };
        let layout = csv_layout::detect(file, row_max, is_known)?;
        let mut records = Records::new(file, layout, row_max);
        let mut cells = Cells::new(layout.delimiter);
        loop {
            let Some(Record { line, bytes }) = records.next() else {
                return Err(Error::field("body", "must start with a header line"));
            };
            let broken = |rule: String| match line {
                1 => Error::field("header line", rule),
                _ => Error::field(&format!("header line (line {line})"), rule),
            };
            let names = bytes.and_then(|bytes| cells.of(bytes)).map_err(broken)?;
            if names.iter().all(|name| is_blank(name)) {
                continue;
            }
            return Ok(Self {
                places: places(&fields, is_raw, &names).map_err(broken)?,
                records,
                layout,
                cells,
                fields,
                is_raw,
            });
        }
    }

    /// Returns the character that separates cells.
    pub fn delimiter(&self) -> char {
        self.layout.delimiter.into()
    }

    /// Reads a row; `None` if it is empty.
    fn read(&mut self, record: &[u8]) -> Option<Read> {
        match self.cells.of(record) {
            Err(rule) => Some(Err(Unreadable::nameless(rule))),
            Ok(cells) if cells.iter().all(|cell| is_blank(cell)) => None,
            Ok(cells) => Some(self.read_cells(&cells)),
        }
    }

    fn read_cells(&self, cells: &[String]) -> Read {
        csv_records::check_surplus(cells, self.places.len(), self.layout)
            .map_err(Unreadable::nameless)?;
        let (mut row, mut data, mut broken) = (Map::new(), Map::new(), None);
        // Cells that are missing at the end of a row are empty, because spreadsheets omit trailing delimiters.
        for (number, (place, cell)) in (1..).zip(self.places.iter().zip(cells)) {
            let mut fixed = |name: &str| {
                let text = text_of_id(cell);
                if !text.is_empty() {
                    row.insert(name.to_owned(), text.into());
                }
            };
            let rule = match place {
                Place::Time => {
                    fixed("time");
                    continue;
                }
                Place::DeviceId => {
                    fixed("device_id");
                    continue;
                }
                Place::Nameless if is_blank(cell) => continue,
                Place::Nameless => {
                    format!(
                        "column {number}: must be empty, because the header line gives it no name"
                    )
                }
                Place::Field(name, kind) => match self.value(*kind, cell) {
                    Ok(Some(value)) => {
                        data.insert(name.clone(), value);
                        continue;
                    }
                    Ok(None) => continue,
                    Err(rule) => format!("{name}: {rule}"),
                },
            };
            broken.get_or_insert(rule);
        }
        row.insert("data".to_owned(), json!(data));
        let row = Value::Object(row);
        match broken {
            Some(error) => Err(Unreadable::of(&row, error)),
            None => self.fields.read(row).map_err(|unreadable| Unreadable {
                error: of_column(&unreadable.error),
                ..unreadable
            }),
        }
    }

    /// Returns the value of a cell; `None` if it is empty.
    fn value(&self, kind: Option<ColumnType>, cell: &str) -> Result<Option<Value>, String> {
        let text = match self.is_raw {
            true => cell,
            false => read_text(cell)?,
        };
        if text.is_empty() {
            return Ok(None);
        }
        // Only a text has a guard.
        let is_guarded = text.len() != cell.len();
        let value = match kind {
            Some(ColumnType::Text) => Some(text.into()),
            Some(ColumnType::Number) => {
                let number = serde_json::from_str::<serde_json::Number>(text.trim());
                number.ok().map(Value::Number)
            }
            Some(ColumnType::Boolean) => match text.trim() {
                text if text.eq_ignore_ascii_case("true") => Some(true.into()),
                text if text.eq_ignore_ascii_case("false") => Some(false.into()),
                _ => None,
            },
            Some(ColumnType::Json) | None if is_guarded => Some(text.into()),
            Some(ColumnType::Json) | None => Some(likeliest(text)),
        };
        let rule = rule(kind.unwrap_or(ColumnType::Json));
        value.map(Some).ok_or_else(|| rule.to_owned())
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

/// Returns the value that an export writes as this text. Texts have no quotes there, so a text that looks like another
/// value cannot be told from it.
fn likeliest(text: &str) -> Value {
    let value = serde_json::from_str(text).ok();
    let is_bare = text.trim() == text;
    let value = value.filter(|value: &Value| is_bare && !value.is_string() && !value.is_null());
    value.unwrap_or_else(|| text.into())
}

/// Returns a time or an identifier without what spreadsheets need.
fn text_of_id(cell: &str) -> &str {
    let cell = cell.trim();
    let quoted = cell
        .strip_prefix("=\"")
        .and_then(|text| text.strip_suffix('"'));
    quoted.unwrap_or_else(|| cell.strip_prefix('\'').unwrap_or(cell))
}

/// Returns the content of a column by its name in the header line, which may have a guard or a unit; `None` if the data
/// table has no such column.
fn place(fields: &Fields<'_>, is_raw: bool, name: &str) -> Option<Place> {
    match name.trim() {
        "time" => return Some(Place::Time),
        "device_id" => return Some(Place::DeviceId),
        _ if is_blank(name) => return Some(Place::Nameless),
        _ => {}
    }
    field(fields, is_raw, name)
}

fn field(fields: &Fields<'_>, is_raw: bool, name: &str) -> Option<Place> {
    let name = match is_raw {
        true => name,
        false => read_text(name).unwrap_or(name),
    };
    let Some(columns) = fields.columns else {
        return Some(Place::Field(name.to_owned(), None));
    };
    let with_unit = || {
        columns.iter().find(|column| {
            let unit = column.unit().map(|unit| format!(" [{unit}]"));
            unit.is_some_and(|unit| name.strip_suffix(&unit) == Some(&*column.path))
        })
    };
    let column = fields.column(name).or_else(with_unit)?;
    Some(Place::Field(column.path.to_string(), Some(column.kind)))
}

fn places(fields: &Fields<'_>, is_raw: bool, names: &[String]) -> Result<Vec<Place>, String> {
    let mut places: Vec<Place> = Vec::with_capacity(names.len());
    let mut unknown = Vec::new();
    for name in names {
        let mut place = place(fields, is_raw, name);
        // A column of the data table may have the name of a fixed one, which precedes it.
        let is_fixed = matches!(place, Some(Place::Time | Place::DeviceId));
        if is_fixed && place.as_ref().is_some_and(|place| places.contains(place)) {
            place = field(fields, is_raw, name.trim());
        }
        match place {
            Some(Place::Nameless) => places.push(Place::Nameless),
            Some(place) if places.contains(&place) => {
                return Err(format!("column \"{}\" must not be repeated", shown(name)));
            }
            Some(place) => places.push(place),
            None => unknown.push(shown(name)),
        }
    }
    if let Some(first) = unknown.first() {
        if first.trim_start().starts_with(['{', '[']) {
            return Err("must name columns; send a file of JSON lines with format=ndjson".into());
        }
        let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
        return Err(no_columns(&unknown));
    }
    for (place, name) in [(Place::Time, "time"), (Place::DeviceId, "device_id")] {
        if !places.contains(&place) {
            return Err(format!("must have the column {name}"));
        }
    }
    Ok(places)
}

/// Returns the name of a column for an error.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// Replaces the JSON path in an error by the name of the column.
fn of_column(error: &str) -> String {
    match error.strip_prefix("data.") {
        Some(error) => error.to_owned(),
        None if error.starts_with("data: ") => error["data: ".len()..].to_owned(),
        None => error.to_owned(),
    }
}
