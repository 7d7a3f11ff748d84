//! Rows as lines of JSON, each the object that a list of rows has.

use super::{Field, Format};
use crate::{api::data::rows::RowView, error::Error, store::data::Row};

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
            serde_json::to_writer(&mut lines, &RowView::from(row)).map_err(Error::internal)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }

    async fn end(&mut self) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }
}
