//! The rows of a run, those that were recorded between two bounds, and their file.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Field, FieldKind, Format,
    csv::Csv,
    file::{File, Rows},
    ndjson::Ndjson,
    parquet::Parquet,
    pieces::{Gzipped, Pieces},
};
use crate::{
    error::Result,
    id::DataTableId,
    store::{
        Scope,
        data::{
            self, DataTable, Row, recorded,
            run::Run,
            scheduled::{FileForm, FileFormat, ScheduledExport},
        },
    },
};

/// Number of rows, of all data tables, that are read at a time.
const AT_ONCE: u64 = 1000;

/// Column of a data table.
#[derive(Deserialize)]
struct Column {
    path: String,
    #[serde(rename = "type")]
    kind: Kind,
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Number,
    Text,
    Boolean,
    Json,
}

/// File of a run.
pub struct RunFile {
    pieces: Box<dyn AnyPieces>,
    count: Arc<Count>,
}

/// The rows of a run.
struct Window {
    scope: Scope,
    table: DataTableId,
    until: Uuid,
    count: Arc<Count>,
}

/// Number of rows in the file. Rows that are read a second time are not counted again.
#[derive(Default)]
struct Count {
    rows: AtomicI64,
    last: Mutex<Option<Uuid>>,
}

/// Pieces of any type of file.
#[async_trait]
trait AnyPieces: Send {
    async fn piece(&mut self) -> Result<Option<Vec<u8>>>;
}

#[async_trait]
impl<P: Pieces> AnyPieces for P {
    async fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        self.next().await
    }
}

/// Returns true if there are no rows between the bounds of a run.
pub async fn is_empty(scope: &Scope, export: &ScheduledExport, run: &Run) -> Result<bool> {
    let mut after = run.after;
    loop {
        let section = recorded::section(scope, export.table, after, run.until, AT_ONCE);
        let (rows, next) = section.await?;
        match (rows.is_empty(), next) {
            (false, _) => return Ok(false),
            (true, None) => return Ok(true),
            (true, next) => after = next,
        }
    }
}

impl RunFile {
    /// Makes the file of a run. It is the same at each attempt, as long as the columns of the data table stay and no
    /// rows are deleted.
    pub async fn of(scope: &Scope, export: &ScheduledExport, run: &Run) -> Result<Self> {
        let table: DataTable<Column> = data::get(scope, export.table).await?;
        let columns = table.provisioned.columns;
        let fields = columns.map(|columns| columns.into_iter().map(Field::from).collect());
        let count = Arc::<Count>::default();
        let window = Window {
            scope: scope.clone(),
            table: export.table,
            until: run.until,
            count: count.clone(),
        };
        let FileForm {
            format, raw, units, ..
        } = run.file;
        let pieces = match format {
            FileFormat::Csv => file(window, run, fields, Csv::new(raw, units)),
            FileFormat::Ndjson => file(window, run, fields, Ndjson),
            FileFormat::Parquet => file(window, run, fields, Parquet::default()),
        };
        Ok(Self { pieces, count })
    }

    /// Returns the next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.pieces.piece().await
    }

    /// Returns the number of rows that have been read for the file.
    pub fn rows(&self) -> i64 {
        self.count.rows.load(Ordering::Relaxed)
    }
}

fn file<F: Format>(
    window: Window,
    run: &Run,
    fields: Option<Vec<Field>>,
    format: F,
) -> Box<dyn AnyPieces> {
    let file = File::new(window, run.after, fields, format);
    match run.file.gzip {
        true => Box::new(Gzipped::new(file)),
        false => Box::new(file),
    }
}

impl Rows for Window {
    type Place = Uuid;

    async fn page(&self, after: Option<Uuid>) -> Result<(Vec<Row>, Option<Uuid>)> {
        let section = recorded::section(&self.scope, self.table, after, self.until, AT_ONCE);
        let (rows, next) = section.await?;
        self.count.note(&rows);
        Ok((rows, next))
    }
}

impl Count {
    fn note(&self, rows: &[Row]) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let new = rows.iter().filter(|row| Some(row.id) > *last).count();
        self.rows
            .fetch_add(i64::try_from(new).unwrap_or(i64::MAX), Ordering::Relaxed);
        *last = last.max(rows.last().map(|row| row.id));
    }
}

impl From<Column> for Field {
    fn from(column: Column) -> Self {
        Self {
            path: column.path,
            kind: match column.kind {
                Kind::Number => FieldKind::Number,
                Kind::Text => FieldKind::Text,
                Kind::Boolean => FieldKind::Boolean,
                Kind::Json => FieldKind::Json,
            },
            unit: column.unit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn rows_that_are_read_again_count_once() {
        let rows = |ids: &[u128]| -> Vec<Row> {
            let row = |id: &u128| Row {
                id: Uuid::from_u128(*id),
                time: clock::now(),
                device_id: String::new(),
                data: serde_json::Map::new(),
            };
            ids.iter().map(row).collect()
        };
        let count = Count::default();
        for (read, sum) in [
            (&[][..], 0),
            (&[1, 2], 2),
            (&[3], 3),
            // A section that is read again.
            (&[1, 2], 3),
            (&[3], 3),
            (&[3, 4], 4),
            (&[], 4),
        ] {
            count.note(&rows(read));
            assert_eq!(count.rows.load(Ordering::Relaxed), sum, "{read:?}");
        }
    }
}
