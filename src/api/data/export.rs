//! Export of all rows of a data table as one CSV file, read from the store page by page.
//!
//! It has no rows after the one that was the last at its beginning, so that it ends even if devices keep sending.
//! An error closes the connection instead of ending the file, so a file that ends regularly is complete.

use std::collections::BTreeSet;

use poem::Body as PoemBody;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    api::{
        data::columns::Column,
        http::{
            answer::{Pieces, in_pieces},
            csv_guard::guarded,
        },
    },
    error::Error,
    id::DataTableId,
    store::{
        Page, Scope,
        core::listing::{Place, Stretch},
        data::{self, DataTable, Row, RowFilter},
    },
};

/// Number of rows that are read at a time.
const AT_ONCE: u64 = 500;
/// Maximum number of bytes of all field names in the header line of a table without fixed columns.
const NAMES_MAX_BYTES: usize = 1024 * 1024;

/// State of a running export.
struct Export {
    scope: Scope,
    table: DataTableId,
    filter: RowFilter,
    newest_first: bool,
    after: Option<Place<Uuid>>,
    stage: Stage,
}

/// Next step of an export.
enum Stage {
    /// An empty first piece, so that the response begins before [`Stage::Fields`] scans all rows.
    Begin,
    /// The header line of a table without fixed columns, for which all rows are scanned.
    Fields,
    /// The header line with these fields.
    Header(Vec<String>),
    /// Rows with these fields. With `is_closed`, a row with any other field fails the export.
    Rows { paths: Vec<String>, is_closed: bool },
    /// The end of the file.
    End,
}

/// Returns the CSV file with the rows after a position in the table.
pub async fn export(
    scope: &Scope,
    table: DataTable<Column>,
    mut filter: RowFilter,
    newest_first: bool,
    after: Option<Place<Uuid>>,
) -> Result<PoemBody, Error> {
    filter.until = data::last_place(scope, table.id, &filter).await?;
    let stage = match (&filter.until, &table.provisioned.columns) {
        (_, Some(columns)) => Stage::Header(paths(columns)),
        (Some(_), None) => Stage::Begin,
        (None, None) => Stage::Header(Vec::new()),
    };
    let export = Export {
        scope: scope.clone(),
        table: table.id,
        filter,
        newest_first,
        after,
        stage,
    };
    in_pieces(export).await
}

/// Returns the paths of a table's columns.
pub fn paths(columns: &[Column]) -> Vec<String> {
    columns
        .iter()
        .map(|column| column.path.to_string())
        .collect()
}

/// Returns the header line for these fields.
pub fn header(paths: &[String]) -> Result<String, Error> {
    let names = paths.iter().map(String::as_str);
    written([["time", "device_id"].into_iter().chain(names)])
}

/// Returns the CSV lines of the rows.
pub fn lines(paths: &[String], rows: &[Row]) -> Result<String, Error> {
    written(rows.iter().map(|row| {
        let time = row
            .time
            .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        let fields = paths.iter().map(|path| cell(row.data.get(path)));
        [time, row.device_id.clone()].into_iter().chain(fields)
    }))
}

/// Returns the CSV cell of a value.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => guarded(text).into_owned(),
        Some(other) => other.to_string(),
    }
}

fn written<R, F>(records: impl IntoIterator<Item = R>) -> Result<String, Error>
where
    R: IntoIterator<Item = F>,
    F: AsRef<[u8]>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.write_record(record).map_err(Error::internal)?;
    }
    let bytes = writer.into_inner().map_err(Error::internal)?;
    String::from_utf8(bytes).map_err(Error::internal)
}

impl Pieces for Export {
    async fn next(&mut self) -> Result<Option<String>, Error> {
        match std::mem::replace(&mut self.stage, Stage::End) {
            Stage::End => Ok(None),
            Stage::Begin => {
                self.stage = Stage::Fields;
                Ok(Some(String::new()))
            }
            Stage::Header(paths) => {
                let line = header(&paths)?;
                if self.filter.until.is_some() {
                    self.stage = Stage::Rows {
                        paths,
                        is_closed: false,
                    };
                }
                Ok(Some(line))
            }
            Stage::Fields => {
                let paths = self.fields().await?;
                let line = header(&paths)?;
                self.stage = Stage::Rows {
                    paths,
                    is_closed: true,
                };
                Ok(Some(line))
            }
            Stage::Rows { paths, is_closed } => {
                let page = self.page(self.after.clone()).await?;
                let text = lines(&paths, &page.items)?;
                if is_closed && page.items.iter().any(|row| has_more(&row.data, &paths)) {
                    return Err(Error::internal(
                        "a row has changed while its table was exported, and has another field",
                    ));
                }
                self.after = page.next;
                if self.after.is_some() {
                    self.stage = Stage::Rows { paths, is_closed };
                }
                Ok(Some(text))
            }
        }
    }
}

impl Export {
    /// Returns the names of all fields in the rows, sorted.
    async fn fields(&self) -> Result<Vec<String>, Error> {
        let mut known = BTreeSet::new();
        let mut after = self.after.clone();
        let mut bytes = 0;
        loop {
            let page = self.page(after).await?;
            for name in page.items.iter().flat_map(|row| row.data.keys()) {
                if !known.contains(name) {
                    bytes += name.len();
                    known.insert(name.clone());
                }
            }
            if bytes > NAMES_MAX_BYTES {
                return Err(Error::internal(
                    "the rows of a data table have more fields than a header line of CSV may name",
                ));
            }
            after = page.next;
            if after.is_none() {
                return Ok(known.into_iter().collect());
            }
        }
    }

    async fn page(&self, after: Option<Place<Uuid>>) -> Result<Page<Row, Place<Uuid>>, Error> {
        let stretch = Stretch {
            after,
            ..Stretch::first(AT_ONCE)
        };
        data::rows(
            &self.scope,
            self.table,
            &self.filter,
            self.newest_first,
            &stretch,
        )
        .await
    }
}

/// True if a row has a field that is not in `paths`, which is sorted.
fn has_more(data: &Map<String, Value>, paths: &[String]) -> bool {
    data.keys().any(|name| paths.binary_search(name).is_err())
}
