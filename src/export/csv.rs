//! Rows as CSV (RFC 4180).

use std::borrow::Cow;

use chrono::SecondsFormat;
use serde_json::Value;

use super::{Field, Format, csv_guard::guarded};
use crate::{error::Error, store::data::Row};

/// CSV file with a header line.
pub struct Csv {
    is_raw: bool,
    has_units: bool,
    fields: Vec<Field>,
}

impl Csv {
    /// Makes a file. A raw one has all texts as they are; in others, those that a spreadsheet would take for a formula
    /// have a guard. With units, they follow the names in the header line.
    pub fn new(is_raw: bool, has_units: bool) -> Self {
        Self {
            is_raw,
            has_units,
            fields: Vec::new(),
        }
    }

    fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.is_raw {
            true => Cow::Borrowed(text),
            false => guarded(text),
        }
    }

    fn heading(&self, field: &Field) -> String {
        match &field.unit {
            Some(unit) if self.has_units => format!("{} [{unit}]", self.text(&field.path)),
            _ => self.text(&field.path).into_owned(),
        }
    }

    /// Returns the cell of a value.
    fn cell(&self, value: Option<&Value>) -> String {
        match value {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => self.text(text).into_owned(),
            Some(other) => other.to_string(),
        }
    }
}

impl Format for Csv {
    fn begin(&mut self, fields: Vec<Field>) -> Result<Vec<u8>, Error> {
        let names = fields.iter().map(|field| self.heading(field));
        let fixed = ["time", "device_id"].into_iter().map(ToOwned::to_owned);
        let header = written([fixed.chain(names)]);
        self.fields = fields;
        header
    }

    async fn rows(&mut self, rows: Vec<Row>) -> Result<Vec<u8>, Error> {
        written(rows.iter().map(|row| {
            let time = row.time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            let cell = |field: &Field| self.cell(row.data.get(&field.path));
            let cells = self.fields.iter().map(cell);
            [time, row.device_id.clone()].into_iter().chain(cells)
        }))
    }

    async fn end(&mut self) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }
}

fn written<R, F>(records: impl IntoIterator<Item = R>) -> Result<Vec<u8>, Error>
where
    R: IntoIterator<Item = F>,
    F: AsRef<[u8]>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.write_record(record).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}
