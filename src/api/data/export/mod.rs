//! Export of all rows of a data table as one file, read from the store page by page.
//!
//! It has no rows after the one that was the last at its beginning, so that it ends even if devices keep sending.
//! An error closes the connection instead of ending the file, so a file that ends regularly is complete.

use std::{collections::BTreeMap, future::Future, mem};

use poem::Body as PoemBody;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    api::{
        data::columns::{Column, ColumnType},
        http::{
            answer::{Pieces, in_pieces},
            compression::Gzipped,
        },
    },
    error::Error,
    store::{
        Page, Scope,
        core::listing::{Place, Stretch},
        data::{self, DataTable, Row, RowFilter},
    },
};

pub mod csv;
pub mod ndjson;
pub mod parquet;

/// Number of rows that are read at a time.
const AT_ONCE: u64 = 500;

/// Column of an exported file.
#[derive(Clone)]
pub struct Field {
    /// Member of a row's data.
    pub path: String,
    /// Type of the values.
    pub kind: ColumnType,
    /// Unit of the values.
    pub unit: Option<String>,
}

/// Format of an exported file.
pub trait Format: Sized + Send + 'static {
    /// True if the file needs to know its columns before the first row.
    const NEEDS_FIELDS: bool = true;
    /// Maximum number of bytes of the names of all fields of a table without columns.
    const NAMES_MAX_BYTES: usize = 1024 * 1024;
    /// Maximum number of fields of a table without columns.
    const FIELDS_MAX: usize = usize::MAX;

    /// Returns the beginning of a file with these columns.
    fn begin(&mut self, fields: Vec<Field>) -> Result<Vec<u8>, Error>;

    /// Returns the next part of the file, which may lack some of the last rows.
    fn rows(&mut self, rows: Vec<Row>) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;

    /// Returns the end of the file.
    fn end(&mut self) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;
}

/// Rows to export.
pub struct Selection {
    /// Tenant and caller.
    pub scope: Scope,
    /// Data table.
    pub table: DataTable<Column>,
    /// Filter of the rows.
    pub filter: RowFilter,
    /// Order of the rows.
    pub newest_first: bool,
    /// Place after which the rows start.
    pub after: Option<Place<Uuid>>,
}

/// State of a running export.
struct Export<F> {
    selection: Selection,
    format: F,
    stage: Stage,
}

/// Next step of an export.
enum Stage {
    /// An empty first piece, so that the response begins before [`Stage::Fields`] scans all rows.
    Begin,
    /// The beginning of the file of a table without fixed columns, for which all rows are scanned.
    Fields,
    /// The beginning of the file with these columns.
    Head(Vec<Field>),
    /// Rows. If there are names, which are sorted, a row with any other field fails the export.
    Rows(Option<Vec<String>>),
    /// The last piece.
    Tail,
    /// The end of the file.
    End,
}

/// Returns the file with the selected rows, as many as there are.
pub async fn whole<F: Format>(
    mut selection: Selection,
    format: F,
    gzip: bool,
) -> Result<PoemBody, Error> {
    let Selection { scope, table, .. } = &selection;
    let until = data::last_place(scope, table.id, &selection.filter).await?;
    let stage = match (&until, &table.provisioned.columns) {
        (_, Some(columns)) => Stage::Head(fields_of(columns)),
        (Some(_), None) if F::NEEDS_FIELDS => Stage::Begin,
        (_, None) => Stage::Head(Vec::new()),
    };
    selection.filter.until = until;
    let export = Export {
        selection,
        format,
        stage,
    };
    match gzip {
        true => in_pieces(Gzipped::new(export)).await,
        false => in_pieces(export).await,
    }
}

/// Returns the file with one page of rows, and the place of the next page.
pub async fn page<F: Format>(
    selection: &Selection,
    mut format: F,
    limit: u64,
) -> Result<(Vec<u8>, Option<Place<Uuid>>), Error> {
    let page = selection.page(selection.after.clone(), limit).await?;
    let fields = match &selection.table.provisioned.columns {
        Some(columns) => fields_of(columns),
        None => {
            let mut found = Found::default();
            found.note(&page.items);
            found.fields::<F>()?
        }
    };
    let mut file = format.begin(fields)?;
    file.extend(format.rows(page.items).await?);
    file.extend(format.end().await?);
    Ok((file, page.next))
}

fn fields_of(columns: &[Column]) -> Vec<Field> {
    let field = |column: &Column| Field {
        path: column.path.to_string(),
        kind: column.kind,
        unit: column.unit.as_ref().map(ToString::to_string),
    };
    columns.iter().map(field).collect()
}

impl<F: Format> Pieces for Export<F> {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match mem::replace(&mut self.stage, Stage::End) {
            Stage::End => Ok(None),
            Stage::Begin => {
                self.stage = Stage::Fields;
                Ok(Some(Vec::new()))
            }
            Stage::Head(fields) => {
                self.stage = match self.selection.filter.until {
                    Some(_) => Stage::Rows(None),
                    None => Stage::Tail,
                };
                self.format.begin(fields).map(Some)
            }
            Stage::Fields => {
                let fields = self.selection.fields::<F>().await?;
                let names = fields.iter().map(|field| field.path.clone()).collect();
                self.stage = Stage::Rows(Some(names));
                self.format.begin(fields).map(Some)
            }
            Stage::Rows(names) => {
                let after = self.selection.after.take();
                let page = self.selection.page(after, AT_ONCE).await?;
                if let Some(names) = &names
                    && page.items.iter().any(|row| has_more(row, names))
                {
                    return Err(Error::internal(
                        "a row has changed while its table was exported, and has another field",
                    ));
                }
                self.stage = match page.next {
                    Some(_) => Stage::Rows(names),
                    None => Stage::Tail,
                };
                self.selection.after = page.next;
                self.format.rows(page.items).await.map(Some)
            }
            Stage::Tail => self.format.end().await.map(Some),
        }
    }
}

impl Selection {
    /// Returns all fields of the rows, sorted by name.
    async fn fields<F: Format>(&self) -> Result<Vec<Field>, Error> {
        let mut found = Found::default();
        let mut after = self.after.clone();
        loop {
            let page = self.page(after, AT_ONCE).await?;
            found.note(&page.items);
            found.check::<F>()?;
            after = page.next;
            if after.is_none() {
                return found.fields::<F>();
            }
        }
    }

    async fn page(
        &self,
        after: Option<Place<Uuid>>,
        limit: u64,
    ) -> Result<Page<Row, Place<Uuid>>, Error> {
        let stretch = Stretch {
            after,
            ..Stretch::first(limit)
        };
        data::rows(
            &self.scope,
            self.table.id,
            &self.filter,
            self.newest_first,
            &stretch,
        )
        .await
    }
}

/// Fields that rows have, with the type of all values of each; `None` while all of them are null.
#[derive(Default)]
struct Found {
    kinds: BTreeMap<String, Option<ColumnType>>,
    bytes: usize,
}

impl Found {
    fn note(&mut self, rows: &[Row]) {
        for (name, value) in rows.iter().flat_map(|row| &row.data) {
            let kind = kind_of(value);
            match self.kinds.get_mut(name) {
                Some(known) => {
                    *known = match (*known, kind) {
                        (known, None) => known,
                        (None, kind) => kind,
                        (Some(known), Some(kind)) if known == kind => Some(known),
                        (Some(_), Some(_)) => Some(ColumnType::Json),
                    };
                }
                None => {
                    self.bytes += name.len();
                    self.kinds.insert(name.clone(), kind);
                }
            }
        }
    }

    fn check<F: Format>(&self) -> Result<(), Error> {
        if self.bytes > F::NAMES_MAX_BYTES || self.kinds.len() > F::FIELDS_MAX {
            return Err(Error::internal(
                "the rows of a data table have more fields than an exported file may have columns",
            ));
        }
        Ok(())
    }

    fn fields<F: Format>(self) -> Result<Vec<Field>, Error> {
        self.check::<F>()?;
        let field = |(path, kind): (String, Option<ColumnType>)| Field {
            path,
            kind: kind.unwrap_or(ColumnType::Json),
            unit: None,
        };
        Ok(self.kinds.into_iter().map(field).collect())
    }
}

fn kind_of(value: &Value) -> Option<ColumnType> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(ColumnType::Boolean),
        Value::Number(_) => Some(ColumnType::Number),
        Value::String(_) => Some(ColumnType::Text),
        Value::Array(_) | Value::Object(_) => Some(ColumnType::Json),
    }
}

/// True if a row has a field that is not in `names`, which is sorted.
fn has_more(row: &Row, names: &[String]) -> bool {
    row.data
        .keys()
        .any(|name| names.binary_search(name).is_err())
}
