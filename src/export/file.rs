//! File with all rows of a source, made piece by piece.
//!
//! If the rows have no fixed columns, they are read twice: first to find the fields that they have.

use std::{collections::BTreeMap, future::Future, mem};

use serde_json::Value;

use super::{Field, FieldKind, Format, pieces::Pieces};
use crate::{error::Error, store::data::Row};

/// Source of rows.
pub trait Rows: Send + Sync + 'static {
    /// Place of a row.
    type Place: Clone + Send + Sync;

    /// Returns the rows after a place, and the place of the last one if there are more. The result may have no rows
    /// although there are more.
    fn page(
        &self,
        after: Option<Self::Place>,
    ) -> impl Future<Output = Result<(Vec<Row>, Option<Self::Place>), Error>> + Send;
}

/// State of a file.
pub struct File<F, R: Rows> {
    rows: R,
    format: F,
    /// Place before the first row.
    begin: Option<R::Place>,
    stage: Stage<R::Place>,
}

/// Next step of a file.
enum Stage<P> {
    /// An empty first piece, so that a response begins before [`Stage::Fields`] scans all rows.
    Begin,
    /// The beginning of the file of a table without fixed columns, for which all rows are scanned.
    Fields,
    /// The beginning of the file with these columns.
    Head(Vec<Field>),
    /// Rows after a place. If there are names, which are sorted, a row with any other field fails the export.
    Rows(Option<P>, Option<Vec<String>>),
    /// The last piece.
    Tail,
    /// The end of the file.
    End,
}

impl<F: Format, R: Rows> File<F, R> {
    /// Makes the file of the rows after a place. `fields` are the fixed columns, if there are any.
    pub fn new(rows: R, begin: Option<R::Place>, fields: Option<Vec<Field>>, format: F) -> Self {
        let stage = match fields {
            Some(fields) => Stage::Head(fields),
            None if F::NEEDS_FIELDS => Stage::Begin,
            None => Stage::Head(Vec::new()),
        };
        Self {
            rows,
            format,
            begin,
            stage,
        }
    }
}

impl<F: Format, R: Rows> Pieces for File<F, R> {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match mem::replace(&mut self.stage, Stage::End) {
            Stage::End => Ok(None),
            Stage::Begin => {
                self.stage = Stage::Fields;
                Ok(Some(Vec::new()))
            }
            Stage::Head(fields) => {
                self.stage = Stage::Rows(self.begin.clone(), None);
                self.format.begin(fields).map(Some)
            }
            Stage::Fields => {
                let fields = fields::<F, R>(&self.rows, self.begin.clone()).await?;
                let names = fields.iter().map(|field| field.path.clone()).collect();
                self.stage = Stage::Rows(self.begin.clone(), Some(names));
                self.format.begin(fields).map(Some)
            }
            Stage::Rows(after, names) => {
                let (rows, next) = self.rows.page(after).await?;
                if let Some(names) = &names
                    && rows.iter().any(|row| has_more(row, names))
                {
                    return Err(Error::internal(
                        "a row has changed while its table was exported, and has another field",
                    ));
                }
                self.stage = match next {
                    Some(_) => Stage::Rows(next, names),
                    None => Stage::Tail,
                };
                self.format.rows(rows).await.map(Some)
            }
            Stage::Tail => self.format.end().await.map(Some),
        }
    }
}

/// Returns all fields of the rows, sorted by name.
async fn fields<F: Format, R: Rows>(
    rows: &R,
    mut after: Option<R::Place>,
) -> Result<Vec<Field>, Error> {
    let mut found = Found::default();
    loop {
        let (page, next) = rows.page(after).await?;
        found.note(&page);
        found.check::<F>()?;
        after = next;
        if after.is_none() {
            return found.fields::<F>();
        }
    }
}

/// Fields that rows have, with the type of all values of each; `None` while all of them are null.
#[derive(Default)]
pub struct Found {
    kinds: BTreeMap<String, Option<FieldKind>>,
    bytes: usize,
}

impl Found {
    /// Adds the fields of rows.
    pub fn note(&mut self, rows: &[Row]) {
        for (name, value) in rows.iter().flat_map(|row| &row.data) {
            let kind = kind_of(value);
            match self.kinds.get_mut(name) {
                Some(known) => {
                    *known = match (*known, kind) {
                        (known, None) => known,
                        (None, kind) => kind,
                        (Some(known), Some(kind)) if known == kind => Some(known),
                        (Some(_), Some(_)) => Some(FieldKind::Json),
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

    /// Returns the fields, sorted by name.
    pub fn fields<F: Format>(self) -> Result<Vec<Field>, Error> {
        self.check::<F>()?;
        let field = |(path, kind): (String, Option<FieldKind>)| Field {
            path,
            kind: kind.unwrap_or(FieldKind::Json),
            unit: None,
        };
        Ok(self.kinds.into_iter().map(field).collect())
    }
}

fn kind_of(value: &Value) -> Option<FieldKind> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(FieldKind::Boolean),
        Value::Number(_) => Some(FieldKind::Number),
        Value::String(_) => Some(FieldKind::Text),
        Value::Array(_) | Value::Object(_) => Some(FieldKind::Json),
    }
}

/// True if a row has a field that is not in `names`, which is sorted.
fn has_more(row: &Row, names: &[String]) -> bool {
    row.data
        .keys()
        .any(|name| names.binary_search(name).is_err())
}
