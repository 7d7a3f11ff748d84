//! Rows as lines of JSON, each the object that a list of rows has.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Field, Format};
use crate::{clock::Time, error::Error, store::data::Row};

/// Line of a row.
#[derive(Serialize)]
struct Line {
    time: Time,
    device_id: String,
    data: Map<String, Value>,
}

/// File with one JSON object per line.
pub struct Ndjson;

impl Format for Ndjson {
    const NEEDS_FIELDS: bool = false;

    fn begin(&mut self, _: Vec<Field>) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    async fn rows(&mut self, rows: Vec<Row>) -> Result<Vec<u8>, Error> {
        let mut lines = Vec::new();
        for row in rows {
            let line = Line {
                time: row.time,
                device_id: row.device_id,
                data: row.data,
            };
            serde_json::to_writer(&mut lines, &line).map_err(Error::internal)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }

    async fn end(&mut self) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }
}
