//! Rows of data tables as files.

use std::marker::PhantomData;

use poem::{
    Body as PoemBody, IntoResponse, Response, Result,
    http::{HeaderMap, HeaderValue, Uri, header},
};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    registry::{MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use super::export::{self, Selection};
use crate::{
    api::{
        data::{columns::Column, row_query::RowQuery},
        http::{
            answer::{next_link, success, with_link},
            caller::Caller,
            compression::takes_gzip,
            exporting::{Exporting, PARQUET_SIZE},
            page::{Cursor, Window},
            parameters::parameter_group,
            types::{Id, Limit},
        },
        tag::Tag,
    },
    export::{Format, csv, ndjson, parquet},
    id::DataTableId,
    store::data,
};

parameter_group! {
    /// Page of a file of rows.
    struct FilePage {
        /// Maximum number of rows; all rows if omitted. A page ends earlier if its rows have more than 4 MiB or
        /// 100,000 values.
        limit: Limit,
        /// Position after which the rows start: the cursor in the `Link` header of the previous page.
        cursor: Cursor,
    }
}

/// Kind of a file of rows, for its response.
trait Kind {
    const MEDIA_TYPE: &'static str;
    /// Value of `Content-Type`.
    const CONTENT_TYPE: &'static str;
    const DESCRIPTION: &'static str;
    /// True if the response can be compressed as a whole, because its file is not.
    const IS_TEXT: bool;
    /// Number of exports for which it counts.
    const SIZE: usize;
}

/// Response 200 with a file of rows.
struct RowFile<K> {
    body: PoemBody,
    is_gzip: bool,
    /// Path of the next page, if the file is paged.
    next: Option<String>,
    kind: PhantomData<K>,
}

struct CsvFile;
struct NdjsonFile;
struct ParquetFile;

impl Kind for CsvFile {
    const MEDIA_TYPE: &'static str = "text/csv";
    const CONTENT_TYPE: &'static str = "text/csv; charset=utf-8";
    const DESCRIPTION: &'static str =
        "The request succeeded. The body contains a header line and one line per row (RFC 4180).";
    const IS_TEXT: bool = true;
    const SIZE: usize = 1;
}

impl Kind for NdjsonFile {
    const MEDIA_TYPE: &'static str = "application/x-ndjson";
    const CONTENT_TYPE: &'static str = "application/x-ndjson; charset=utf-8";
    const DESCRIPTION: &'static str = "The request succeeded. The body contains one JSON object per line, as in the list of rows.";
    const IS_TEXT: bool = true;
    const SIZE: usize = 1;
}

impl Kind for ParquetFile {
    const MEDIA_TYPE: &'static str = "application/vnd.apache.parquet";
    const CONTENT_TYPE: &'static str = Self::MEDIA_TYPE;
    const DESCRIPTION: &'static str =
        "The request succeeded. The body contains an Apache Parquet file.";
    const IS_TEXT: bool = false;
    const SIZE: usize = PARQUET_SIZE;
}

/// Endpoints of `data-tables/{id}/rows.csv`, `rows.ndjson` and `rows.parquet`.
pub struct RowExportsApi {
    pub exporting: Exporting,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::DataTables")]
impl RowExportsApi {
    /// Export rows as CSV
    ///
    /// Returns the rows of a data table as a CSV file in ascending or descending order of time. The header line has
    /// `time`, `device_id` and the columns; for a data table without columns, it has all fields of the exported rows.
    /// Unless `raw` is true, text that a spreadsheet would take for a formula starts with an apostrophe. The response is
    /// compressed for clients that accept gzip.
    ///
    /// Without `limit`, the file has all rows that exist when the export begins. With `limit`, it has one page, and
    /// the `Link` header has the URL of the next one. After an error the hub closes the connection before the end
    /// of the response, so a response that ends regularly is complete.
    ///
    /// Fails with 400 if `to` is before `from` or `filter` does not fit the columns of the data table, and with 404 if
    /// the data table does not exist.
    #[oai(
        path = "/data-tables/:id/rows.csv",
        method = "get",
        operation_id = "export_rows"
    )]
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each parameter of the operation"
    )]
    async fn csv(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        query: RowQuery,
        /// True for texts as they are, for programs. False, or omitted, for texts that are safe in spreadsheets.
        raw: Query<Option<bool>>,
        /// True for the units of columns in the header line, such as `temperature [°C]`.
        units: Query<Option<bool>>,
        page: FilePage,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<RowFile<CsvFile>> {
        let format = csv::Csv::new(raw.0.unwrap_or_default(), units.0.unwrap_or_default());
        let request = Request {
            caller,
            id: id.0,
            query,
            page,
            uri,
            headers,
        };
        request.answer(&self.exporting, format).await
    }

    /// Export rows as NDJSON
    ///
    /// Returns the rows of a data table as lines of JSON in ascending or descending order of time. Each line has the
    /// object that the list of rows returns. The response is compressed for clients that accept gzip.
    ///
    /// Without `limit`, the file has all rows that exist when the export begins. With `limit`, it has one page, and
    /// the `Link` header has the URL of the next one. After an error the hub closes the connection before the end
    /// of the response, so a response that ends regularly is complete.
    ///
    /// Fails with 400 if `to` is before `from` or `filter` does not fit the columns of the data table, and with 404 if
    /// the data table does not exist.
    #[oai(
        path = "/data-tables/:id/rows.ndjson",
        method = "get",
        operation_id = "export_rows_ndjson"
    )]
    async fn ndjson(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        query: RowQuery,
        page: FilePage,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<RowFile<NdjsonFile>> {
        let request = Request {
            caller,
            id: id.0,
            query,
            page,
            uri,
            headers,
        };
        request.answer(&self.exporting, ndjson::Ndjson).await
    }

    /// Export rows as Parquet
    ///
    /// Returns the rows of a data table as an Apache Parquet file in ascending or descending order of time, compressed
    /// with Snappy. The columns are `time` (timestamp in microseconds, UTC), `device_id` (text), and those of the data
    /// table: `number` as a double, `text` as a string, `boolean`, and `json` as JSON. A value of another type than its
    /// column, which was stored before the column changed, is null. For a data table without columns, the file has all
    /// fields of the exported rows, at most 1,000; a field with values of several types is JSON. Fields named `time` and
    /// `device_id` are called `data.time` and `data.device_id`.
    ///
    /// Without `limit`, the file has all rows that exist when the export begins. With `limit`, it has one page, and
    /// the `Link` header has the URL of the next one. After an error the hub closes the connection before the end
    /// of the response; such a file has no footer and cannot be read.
    ///
    /// Fails with 400 if `to` is before `from` or `filter` does not fit the columns of the data table, and with 404 if
    /// the data table does not exist.
    #[oai(
        path = "/data-tables/:id/rows.parquet",
        method = "get",
        operation_id = "export_rows_parquet"
    )]
    async fn parquet(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        query: RowQuery,
        page: FilePage,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<RowFile<ParquetFile>> {
        let request = Request {
            caller,
            id: id.0,
            query,
            page,
            uri,
            headers,
        };
        let format = parquet::Parquet::default();
        request.answer(&self.exporting, format).await
    }
}

/// Request for a file of rows.
struct Request<'a> {
    caller: Caller,
    id: Id,
    query: RowQuery,
    page: FilePage,
    uri: &'a Uri,
    headers: &'a HeaderMap,
}

impl Request<'_> {
    async fn answer<K: Kind>(
        self,
        exporting: &Exporting,
        format: impl Format,
    ) -> Result<RowFile<K>> {
        let scope = self.caller.scope();
        let window = Window::new(self.uri, self.page.limit, self.page.cursor, None)?;
        let table = data::get::<Column>(scope, DataTableId(*self.id)).await?;
        let selection = Selection {
            filter: self.query.filter(&table, scope)?,
            newest_first: self.query.is_newest_first(),
            scope: scope.clone(),
            table,
            after: window.stretch.after.clone(),
        };
        if self.page.limit.is_some() {
            let (file, next) = export::page(&selection, format, &window.stretch).await?;
            let next = next.map(|place| window.next(place)).transpose()?;
            return Ok(RowFile {
                body: file.into(),
                is_gzip: false,
                next: next.map(|next| next.path),
                kind: PhantomData,
            });
        }
        let place = exporting.enter(scope.tenant(), K::SIZE)?;
        let is_gzip = K::IS_TEXT && takes_gzip(self.headers);
        Ok(RowFile {
            body: export::whole(place, selection, format, is_gzip).await?,
            is_gzip,
            next: None,
            kind: PhantomData,
        })
    }
}

impl<K: Kind + Send> IntoResponse for RowFile<K> {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .header(header::CONTENT_TYPE, K::CONTENT_TYPE)
            .body(self.body);
        if K::IS_TEXT {
            let vary = HeaderValue::from_static("Accept-Encoding");
            response.headers_mut().append(header::VARY, vary);
        }
        if self.is_gzip {
            let gzip = HeaderValue::from_static("gzip");
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, gzip);
        }
        with_link(response, self.next.as_deref())
    }
}

impl<K: Kind> ApiResponse for RowFile<K> {
    fn meta() -> MetaResponses {
        let schema = match K::IS_TEXT {
            true => MetaSchema::new("string"),
            false => MetaSchema::new_with_format("string", "binary"),
        };
        let schema = MetaSchemaRef::Inline(Box::new(schema));
        success(
            200,
            K::DESCRIPTION,
            K::MEDIA_TYPE,
            schema,
            vec![next_link()],
        )
    }

    fn register(_: &mut Registry) {}
}
