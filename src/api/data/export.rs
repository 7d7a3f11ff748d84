//! Export of all rows of a data table as one file, read from the store page by page.
//!
//! It has no rows after the one that was the last at its beginning, so that it ends even if devices keep sending.
//! An error closes the connection instead of ending the file, so a file that ends regularly is complete.

use bytes::Bytes;
use poem::Body as PoemBody;
use uuid::Uuid;

use crate::{
    api::{
        data::columns::{Column, ColumnType},
        http::{
            answer::{in_pieces, in_room},
            exporting::Place,
        },
    },
    error::Error,
    export::{
        Field, FieldKind, Format,
        file::{File, Found, Rows},
        pieces::Gzipped,
    },
    store::{
        Page, Scope,
        core::listing::{Place as Position, Stretch},
        data::{self, DataTable, Row, RowFilter},
    },
};

/// Number of rows that are read at a time.
const AT_ONCE: u64 = 500;

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
    pub after: Option<Position<Uuid>>,
}

/// Returns the file with the selected rows, as many as there are.
pub async fn whole<F: Format>(
    place: Place,
    mut selection: Selection,
    format: F,
    gzip: bool,
) -> Result<PoemBody, Error> {
    let Selection { scope, table, .. } = &selection;
    let until = data::last_place(scope, table.id, &selection.filter).await?;
    let fields = match (&until, &table.provisioned.columns) {
        (_, Some(columns)) => Some(fields_of(columns)),
        (Some(_), None) => None,
        (None, None) => Some(Vec::new()),
    };
    let after = selection.after.clone();
    let file = match until {
        Some(_) => {
            selection.filter.until = until;
            File::new(Source::All(Box::new(selection)), after, fields, format)
        }
        None => File::new(Source::Nothing, after, fields, format),
    };
    match gzip {
        true => in_pieces(place, Gzipped::new(file)).await,
        false => in_pieces(place, file).await,
    }
}

/// Returns the file with one page of rows, and the position of the next page.
pub async fn page<F: Format>(
    selection: &Selection,
    mut format: F,
    stretch: &Stretch<Uuid>,
) -> Result<(Bytes, Option<Position<Uuid>>), Error> {
    let page = selection.page(stretch).await?;
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
    Ok((in_room(page.room, file), page.next))
}

fn fields_of(columns: &[Column]) -> Vec<Field> {
    let field = |column: &Column| Field {
        path: column.path.to_string(),
        kind: match column.kind {
            ColumnType::Number => FieldKind::Number,
            ColumnType::Text => FieldKind::Text,
            ColumnType::Boolean => FieldKind::Boolean,
            ColumnType::Json => FieldKind::Json,
        },
        unit: column.unit.as_ref().map(ToString::to_string),
    };
    columns.iter().map(field).collect()
}

/// Source of the rows of a file.
enum Source {
    /// The rows of a selection.
    All(Box<Selection>),
    /// No rows.
    Nothing,
}

impl Rows for Source {
    type Place = Position<Uuid>;

    async fn page(
        &self,
        after: Option<Position<Uuid>>,
    ) -> Result<(Vec<Row>, Option<Position<Uuid>>), Error> {
        let Self::All(selection) = self else {
            return Ok((Vec::new(), None));
        };
        let page = selection.page(&Stretch::step(after, AT_ONCE)).await?;
        Ok((page.items, page.next))
    }
}

impl Selection {
    async fn page(&self, stretch: &Stretch<Uuid>) -> Result<Page<Row, Position<Uuid>>, Error> {
        data::rows(
            &self.scope,
            self.table.id,
            &self.filter,
            self.newest_first,
            stretch,
        )
        .await
    }
}
