//! Numbers of a data table's rows or of a device's uplinks in a period: how many rows there are, sums over base
//! buckets of UTC, and the numbers themselves.
//!
//! Both databases run the same statements but for the expressions of a number and of a bucket. Numbers so large that
//! their sums or squares could exceed the range of a number are counted and not summed: PostgreSQL would fail.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, QueryFilter, QueryResult, QuerySelect,
    QueryTrait, Statement,
    sea_query::{Expr, SelectStatement},
};

use super::{
    number::NumberPath,
    sums::{Edge, Sums},
};
use crate::{
    clock::Time,
    error::Result,
    id::{DataTableId, DeviceKey},
    selector::Selector,
    store::{
        core::{listing::Span, scope::Scope},
        devices::selecting,
        entities::{data_table_row, device, uplink},
    },
};

/// Seconds from 0001-01-01 to 1970-01-01, a whole number of days. Divisions of what is above 0 round down.
const YEAR_ONE_S: i64 = 62_135_596_800;

/// Expression of no device.
pub(super) const NO_DEVICE: &str = "CAST(NULL AS text)";

/// Stored data that numbers are read from.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// Rows of a data table.
    Rows(DataTableId),
    /// Uplinks of a device.
    Uplinks(DeviceKey),
}

/// Rows or uplinks to read; all conditions must hold.
#[derive(Debug, Clone)]
pub struct Matching {
    /// The stored data.
    pub source: Source,
    /// Identifiers of the devices; empty for all.
    pub devices: Vec<String>,
    /// Selector of the devices.
    pub selector: Option<Selector>,
    /// Period.
    pub span: Span,
}

impl Matching {
    /// Returns the uplinks of a device.
    pub fn uplinks(device: DeviceKey, span: Span) -> Self {
        Self {
            source: Source::Uplinks(device),
            devices: Vec::new(),
            selector: None,
            span,
        }
    }
}

/// Number and period of the rows that match.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Number of rows.
    pub rows: u64,
    /// Time of the first and the last row; `None` if there are no rows.
    pub times: Option<(Time, Time)>,
}

/// Form of the sums.
#[derive(Debug, Clone, Copy)]
pub struct Grouping {
    /// Length of the base buckets in seconds, which divides a day.
    pub base_s: i64,
    /// True for sums of each device.
    pub by_device: bool,
    /// True to find the first and the last number.
    pub with_edges: bool,
    /// True to measure how far the numbers are from their mean.
    pub with_spread: bool,
}

/// Sums of a device, or of all, in a base bucket.
#[derive(Debug, Clone)]
pub struct BaseBucket {
    /// Identifier of the device; `None` if the sums are those of all.
    pub device: Option<String>,
    /// Start of the base bucket, in seconds since 1970.
    pub start_s: i64,
    /// Sums.
    pub sums: Sums,
}

/// A number with its time.
#[derive(Debug, Clone)]
pub struct Number {
    /// Identifier of the device; `None` if it was not requested.
    pub device: Option<String>,
    /// Time of its row.
    pub time: Time,
    /// The number.
    pub value: f64,
}

impl Extent {
    /// Returns the number and the period of these and of other rows.
    pub fn and(self, other: Self) -> Self {
        let times = match (self.times, other.times) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        };
        Self {
            rows: self.rows + other.rows,
            times,
        }
    }
}

/// Returns the number of rows that match, at most `limit`, and the period in which these are.
pub async fn extent(scope: &Scope, matching: &Matching, span: Span, limit: u64) -> Result<Extent> {
    extent_of(scope, selected(scope, matching, span), limit).await
}

/// Returns the same of these rows.
pub(super) async fn extent_of(
    scope: &Scope,
    mut rows: SelectStatement,
    limit: u64,
) -> Result<Extent> {
    let rows = rows.expr_as(Expr::cust("ts"), "ts").limit(limit).to_owned();
    let sql = |rows: &str| format!("SELECT count(*), min(ts), max(ts) FROM ({rows}) AS r");
    let found = run(scope, &rows, sql).await?;
    let Some(row) = found.first() else {
        return Ok(Extent {
            rows: 0,
            times: None,
        });
    };
    let first: Option<Time> = row.try_get_by_index(1)?;
    Ok(Extent {
        rows: unsigned(row, 0)?,
        times: first.zip(row.try_get_by_index(2)?),
    })
}

/// Returns the number of devices that have rows.
pub async fn devices(scope: &Scope, matching: &Matching) -> Result<u64> {
    let rows = selected(scope, matching, matching.span)
        .distinct()
        .expr_as(Expr::cust("device_id"), "d")
        .to_owned();
    let sql = |rows: &str| format!("SELECT count(*) FROM ({rows}) AS r");
    let found = run(scope, &rows, sql).await?;
    let count = found.first().map(|row| unsigned(row, 0));
    Ok(count.transpose()?.unwrap_or_default())
}

/// Returns the sums of the numbers at a path in a period, at most `limit` of them.
pub async fn sums(
    scope: &Scope,
    matching: &Matching,
    span: Span,
    path: &NumberPath,
    grouping: Grouping,
    limit: u64,
) -> Result<Vec<BaseBucket>> {
    let number = path.number(scope.reader().get_database_backend());
    let device = device_expression(matching, grouping.by_device);
    let rows = selected(scope, matching, span);
    sums_of(scope, rows, device, number, grouping, limit).await
}

/// Returns the sums of a number of these rows.
pub(super) async fn sums_of(
    scope: &Scope,
    mut rows: SelectStatement,
    device: Expr,
    number: Expr,
    grouping: Grouping,
    limit: u64,
) -> Result<Vec<BaseBucket>> {
    let backend = scope.reader().get_database_backend();
    let rows = rows
        .expr_as(device, "d")
        .expr_as(Expr::cust(bucket(backend, grouping.base_s)), "b")
        .expr_as(Expr::cust("ts"), "ts")
        .expr_as(Expr::cust("id"), "id")
        .expr_as(number, "c")
        .to_owned();
    let sql = |rows: &str| sums_sql(backend, rows, grouping, limit);
    let found = run(scope, &rows, sql).await?;
    let read = |row: &QueryResult| base_bucket(row, grouping, |index| row.try_get_by_index(index));
    Ok(found.iter().map(read).collect::<Result<_, DbErr>>()?)
}

/// Returns the numbers at a path in a period in the order of time, at most `limit` of them.
pub async fn values(
    scope: &Scope,
    matching: &Matching,
    span: Span,
    path: &NumberPath,
    by_device: bool,
    limit: u64,
) -> Result<Vec<Number>> {
    let backend = scope.reader().get_database_backend();
    let rows = selected(scope, matching, span)
        .expr_as(device_expression(matching, by_device), "d")
        .expr_as(Expr::cust("ts"), "ts")
        .expr_as(Expr::cust("id"), "id")
        .expr_as(path.number(backend), "c")
        .to_owned();
    let sql = |rows: &str| {
        format!(
            "SELECT d, ts, c FROM ({rows}) AS r WHERE c IS NOT NULL ORDER BY ts, id LIMIT {limit}"
        )
    };
    let found = run(scope, &rows, sql).await?;
    let read = |row: &QueryResult| {
        Ok(Number {
            device: row.try_get_by_index(0)?,
            time: row.try_get_by_index(1)?,
            value: row.try_get_by_index(2)?,
        })
    };
    Ok(found.iter().map(read).collect::<Result<_, DbErr>>()?)
}

/// Returns the statement for the sums. `rows` selects the device, the bucket, the time, the key and the number.
fn sums_sql(backend: DbBackend, rows: &str, grouping: Grouping, limit: u64) -> String {
    let key = match backend {
        DbBackend::Postgres => "CAST(id AS text)",
        _ => "lower(hex(id))",
    };
    let (ranks, edges) = match grouping.with_edges {
        true => (
            ", ROW_NUMBER() OVER (PARTITION BY d, b ORDER BY ts, id) AS f, \
             ROW_NUMBER() OVER (PARTITION BY d, b ORDER BY ts DESC, id DESC) AS l",
            ", max(CASE WHEN f = 1 THEN c END), max(CASE WHEN f = 1 THEN ts END), max(CASE WHEN f = 1 THEN k END), \
             max(CASE WHEN l = 1 THEN c END), max(CASE WHEN l = 1 THEN ts END), max(CASE WHEN l = 1 THEN k END)",
        ),
        false => ("", ""),
    };
    // The distances are those from the mean of the bucket itself: from any other one, numbers that differ little would
    // lose what tells them apart.
    let mean = match grouping.with_spread {
        true => "avg(s) OVER (PARTITION BY d, b)",
        false => "CAST(0 AS float8)",
    };
    // The number itself is materialised: otherwise the JSON would be parsed for each use.
    format!(
        "WITH v AS MATERIALIZED ({rows}), \
         n AS (SELECT d, b, ts, id, c, CASE WHEN abs(c) < 1e140 THEN c END AS s FROM v WHERE c IS NOT NULL), \
         p AS (SELECT d, b, ts, {key} AS k, c, s, {mean} AS a{ranks} FROM n) \
         SELECT d, b, count(*), count(*) - count(s), sum(s), min(c), max(c), max(a), sum(s - a), \
         sum(CASE WHEN abs(s - a) > 1e-140 THEN (s - a) * (s - a) ELSE 0.0 END){edges} \
         FROM p GROUP BY d, b LIMIT {limit}"
    )
}

/// Returns the query for the rows that match within a period, without columns.
pub(super) fn selected(scope: &Scope, matching: &Matching, span: Span) -> SelectStatement {
    match matching.source {
        Source::Rows(table) => {
            use data_table_row::{Column, Entity};
            let mut query = scope
                .find::<Entity>()
                .filter(Column::DataTableId.eq(table.0))
                .filter(span.of(Column::Ts));
            if !matching.devices.is_empty() {
                query = query.filter(Column::DeviceId.is_in(&matching.devices));
            }
            if let Some(selector) = &matching.selector {
                let picked = scope
                    .find::<device::Entity>()
                    .filter(selecting::picked(selector))
                    .select_only()
                    .column(device::Column::DeviceId);
                query = query.filter(Column::DeviceId.in_subquery(picked.into_query()));
            }
            query.select_only().into_query()
        }
        Source::Uplinks(device) => {
            use uplink::{Column, Entity};
            let query = scope
                .find::<Entity>()
                .filter(Column::DeviceKey.eq(device.0))
                .filter(span.of(Column::Ts));
            query.select_only().into_query()
        }
    }
}

/// Returns the expression of the device, or of none.
pub(super) fn device_expression(matching: &Matching, by_device: bool) -> Expr {
    Expr::cust(device_column(matching, by_device))
}

/// Returns the text of the same expression.
pub(super) fn device_column(matching: &Matching, by_device: bool) -> &'static str {
    match (matching.source, by_device) {
        (Source::Rows(_), true) => "device_id",
        _ => NO_DEVICE,
    }
}

/// Returns the expression of the number of the base bucket, counted from 1970.
fn bucket(backend: DbBackend, base_s: i64) -> String {
    let before = YEAR_ONE_S / base_s;
    match backend {
        DbBackend::Postgres => {
            format!("CAST(floor(EXTRACT(EPOCH FROM ts) / {base_s}) AS bigint)")
        }
        // Only the seconds are read: SQLite would round the rest.
        _ => {
            format!("(unixepoch(substr(ts, 1, 19)) + {YEAR_ONE_S}) / {base_s} - {before}")
        }
    }
}

async fn run(
    scope: &Scope,
    rows: &SelectStatement,
    sql: impl FnOnce(&str) -> String,
) -> Result<Vec<QueryResult>> {
    run_around(scope, backend(scope).build(rows), sql).await
}

/// Runs the statement that `sql` makes around another one.
pub(super) async fn run_around(
    scope: &Scope,
    mut inner: Statement,
    sql: impl FnOnce(&str) -> String,
) -> Result<Vec<QueryResult>> {
    inner.sql = sql(&inner.sql);
    Ok(scope.reader().query_all_raw(inner).await?)
}

/// Returns the base bucket of a row: the device, the bucket, the columns of [`moments`], and the number, time and key of
/// the first and of the last, whose times `time` reads.
pub(super) fn base_bucket(
    row: &QueryResult,
    grouping: Grouping,
    time: impl Fn(usize) -> Result<Time, DbErr>,
) -> Result<BaseBucket, DbErr> {
    let bucket: i64 = row.try_get_by_index(1)?;
    let edge = |index| -> Result<Option<Edge>, DbErr> {
        if !grouping.with_edges {
            return Ok(None);
        }
        Ok(Some(Edge {
            value: row.try_get_by_index(index)?,
            time: time(index + 1)?,
            key: row.try_get_by_index(index + 2)?,
        }))
    };
    Ok(BaseBucket {
        device: row.try_get_by_index(0)?,
        start_s: bucket * grouping.base_s,
        sums: Sums {
            first: edge(10)?,
            last: edge(13)?,
            ..moments(row)?
        },
    })
}

/// Returns the sums without the first and the last number. The columns are the count, the count of numbers that are too
/// large, the sum, the least, the greatest, a number near the mean, and the sums of the distances from it and of their
/// squares.
fn moments(row: &QueryResult) -> Result<Sums, DbErr> {
    let (count, huge) = (unsigned(row, 2)?, unsigned(row, 3)?);
    let number = |index| row.try_get_by_index::<Option<f64>>(index);
    let center = number(7)?.unwrap_or_default();
    let distances = number(8)?.unwrap_or_default();
    let squares = number(9)?.unwrap_or_default();
    let summed = count.saturating_sub(huge).max(1) as f64;
    Ok(Sums {
        count,
        huge,
        sum: number(4)?.unwrap_or_default(),
        mean: center + distances / summed,
        squares: squares - distances * distances / summed,
        min: number(5)?,
        max: number(6)?,
        first: None,
        last: None,
    })
}

/// Returns the kind of database that is read.
pub(super) fn backend(scope: &Scope) -> DbBackend {
    scope.reader().get_database_backend()
}

pub(super) fn unsigned(row: &QueryResult, index: usize) -> Result<u64, DbErr> {
    let number: i64 = row.try_get_by_index(index)?;
    Ok(u64::try_from(number).unwrap_or_default())
}
