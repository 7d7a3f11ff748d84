//! Sums that are read from rollups instead of rows: the whole hours of a period up to the end of those that are rolled
//! up, without the hours whose rows have changed since. A request that does not tell devices apart reads the sums of all
//! devices, and adds up those of each only in hours of which rows have changed.
//!
//! What is read from rollups and what from rows is decided once for a request, so that no row counts twice and none is
//! left out while hours are rolled up meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ColumnTrait, DbBackend, DbErr, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Statement,
    Value, sea_query::Expr,
};

use super::{
    hour_sums,
    number::NumberPath,
    numbers::{
        self, BaseBucket, Extent, Grouping, Matching, Source, device_column, run_around, unsigned,
    },
    row_hours::{CHANGED_AT_ONCE, HOUR_S, at, changed_rows, changed_sums, merged},
};
use crate::{
    clock::Time,
    error::{Error, Result},
    id::DataTableId,
    store::{
        core::{listing::Span, scope::Scope},
        devices::selecting,
        entities::{device, rollup_column, rollup_hour, rollup_mark},
    },
};

/// Time after the end of an hour until it is rolled up, in seconds. The triggers mark rows that are recorded more than
/// half of this time after their hour, so no transaction that lasts less can add an unmarked row to a rolled up hour.
pub const DELAY_S: i64 = 600;
/// Maximum number of changed hours of devices that one request reads from rows.
const CHANGED_MAX: u64 = 2000;
/// Device of the marks of hours whose devices have other sums than the sum of all of them says. No device has an empty
/// identifier.
pub(in crate::store) const ALL_DEVICES: &str = "";

/// Hours of a data table that a request reads from rollups.
#[derive(Debug, Clone)]
pub struct Rolled {
    table: DataTableId,
    /// True if the sums of all devices are read.
    is_of_all: bool,
    /// Column of the rows themselves.
    rows: i64,
    /// Columns in the order of the request.
    columns: Vec<i64>,
    /// Start of the hours; `None` for all up to the end.
    from_s: Option<i64>,
    /// End of the hours.
    until_s: i64,
    /// Hours of devices that are read from rows.
    changed: Vec<(String, i64)>,
}

/// Returns the end of the hours that may be rolled up at this time.
pub fn last_end_s(now: Time) -> i64 {
    floor_hour(now.timestamp() - DELAY_S)
}

/// Returns the start of the hour.
pub fn floor_hour(time_s: i64) -> i64 {
    time_s.div_euclid(HOUR_S) * HOUR_S
}

/// Finds what can be read from rollups; `None` if nothing can. `by_device` is true for sums of each device.
pub async fn find(
    scope: &Scope,
    matching: &Matching,
    paths: &[NumberPath],
    by_device: bool,
) -> Result<Option<Rolled>> {
    let Source::Rows(table) = matching.source else {
        return Ok(None);
    };
    let Some((end_s, known)) = state(scope, table).await? else {
        return Ok(None);
    };
    let id_of = |path: &str| known.get(path).copied();
    let columns: Option<Vec<i64>> = paths.iter().map(|path| id_of(path.as_str())).collect();
    let (Some(rows), Some(columns)) = (id_of(""), columns) else {
        return Ok(None);
    };
    let Span { from, to } = matching.span;
    let from_s = from.map(ceil_hour);
    // After the clock was set back, hours are rolled up that are not over.
    let mut until_s = end_s.min(last_end_s(scope.now()));
    if let Some(to) = to {
        until_s = until_s.min(floor_hour(to.timestamp()));
    }
    if from_s.is_some_and(|from_s| from_s >= until_s) {
        return Ok(None);
    }
    let mut rolled = Rolled {
        table,
        is_of_all: !by_device && matching.devices.is_empty() && matching.selector.is_none(),
        rows,
        columns,
        from_s,
        until_s,
        changed: Vec::new(),
    };
    let changed = rolled.read_changed(scope, matching).await?;
    if changed.len() as u64 > CHANGED_MAX {
        return Ok(None);
    }
    rolled.changed = changed;
    Ok(Some(rolled))
}

/// Returns the end of the hours that are rolled up, and the columns by path.
async fn state(scope: &Scope, table: DataTableId) -> Result<Option<(i64, BTreeMap<String, i64>)>> {
    use rollup_column::Column;
    // One statement, so that end and columns belong together.
    let found: Vec<(i64, String, Option<i64>)> = scope
        .find::<rollup_column::Entity>()
        .filter(Column::DataTableId.eq(table.0))
        .filter(Column::IsDropped.eq(false))
        .select_only()
        .columns([Column::Id, Column::Path])
        .expr_as(
            Expr::cust(
                "(SELECT until_s FROM data_table_rollups AS r \
                 WHERE r.data_table_id = rollup_columns.data_table_id)",
            ),
            "until_s",
        )
        .into_tuple()
        .all(scope.reader())
        .await?;
    let end_s = found.first().and_then(|(_, _, end_s)| *end_s);
    let columns = found.into_iter().map(|(id, path, _)| (path, id));
    Ok(end_s.map(|end_s| (end_s, columns.collect())))
}

fn ceil_hour(time: Time) -> i64 {
    let is_whole = time.timestamp_subsec_nanos() == 0 && time.timestamp() % HOUR_S == 0;
    floor_hour(time.timestamp()) + if is_whole { 0 } else { HOUR_S }
}

impl Rolled {
    /// True if the hours are still rolled up. Otherwise what was read may be incomplete.
    pub async fn is_current(&self, scope: &Scope) -> Result<bool> {
        let Some((end_s, known)) = state(scope, self.table).await? else {
            return Ok(false);
        };
        let mut ids = self.columns.iter().chain([&self.rows]);
        Ok(end_s >= self.until_s && ids.all(|id| known.values().any(|known| known == id)))
    }

    /// Returns the periods before and after the hours, which are read from rows.
    pub fn edges(&self, whole: Span) -> Vec<Span> {
        let before = whole.from.zip(self.from_s).map(|(from, from_s)| Span {
            from: Some(from),
            to: Some(at(from_s)),
        });
        let after = Span {
            from: Some(at(self.until_s)),
            to: whole.to,
        };
        let is_empty = |span: &Span| span.from >= span.to && span.to.is_some();
        let spans = before.into_iter().chain([after]);
        spans.filter(|span| !is_empty(span)).collect()
    }

    /// Returns the number of rolled up hours that are read, the number of their rows, and their period; reads at most
    /// `limit` hours.
    pub async fn extent(
        &self,
        scope: &Scope,
        matching: &Matching,
        limit: u64,
    ) -> Result<(u64, Extent)> {
        let columns = ["numbers", "first_us", "last_us"].map(|name| (name.to_owned(), name));
        let hours = self.selected(scope, matching, self.rows, Span::default(), &columns);
        let sql = |hours: &str| {
            format!(
                "SELECT count(*), CAST(coalesce(sum(numbers), 0) AS bigint), min(first_us), max(last_us) \
                 FROM ({hours} LIMIT {limit}) AS h"
            )
        };
        let found = run_around(scope, hours, sql).await?;
        let row = found
            .first()
            .ok_or_else(|| Error::internal("a count returned no row"))?;
        let time = |index| -> Result<Option<Time>, DbErr> {
            let micros: Option<i64> = row.try_get_by_index(index)?;
            Ok(micros.and_then(Time::from_timestamp_micros))
        };
        let extent = Extent {
            rows: unsigned(row, 1)?,
            times: time(2)?.zip(time(3)?),
        };
        Ok((unsigned(row, 0)?, extent))
    }

    /// Returns the number and the period of the rows of changed hours.
    pub async fn changed_extent(
        &self,
        scope: &Scope,
        matching: &Matching,
        limit: u64,
    ) -> Result<Extent> {
        let mut whole = Extent {
            rows: 0,
            times: None,
        };
        for part in merged(self.changed.clone()).chunks(CHANGED_AT_ONCE) {
            let rows = changed_rows(scope, matching, part);
            let extent = numbers::extent_of(scope, rows, limit).await?;
            whole = whole.and(extent);
        }
        Ok(whole)
    }

    /// Returns the sums of a column, by its place in the request, of the hours that overlap this period.
    pub async fn sums(
        &self,
        scope: &Scope,
        matching: &Matching,
        span: Span,
        column: usize,
        grouping: Grouping,
        limit: u64,
    ) -> Result<Vec<BaseBucket>> {
        let column = self.column(column)?;
        let backend = numbers::backend(scope);
        let device = device_column(matching, grouping.by_device);
        let columns = hour_sums::columns(backend, device, grouping);
        let hours = self.selected(scope, matching, column, span, &columns);
        hour_sums::sums_of(scope, hours, grouping, limit).await
    }

    /// Returns the sums of the rows of changed hours.
    pub async fn changed_sums(
        &self,
        scope: &Scope,
        matching: &Matching,
        path: &NumberPath,
        grouping: Grouping,
    ) -> Result<Vec<BaseBucket>> {
        let changed = merged(self.changed.clone());
        changed_sums(scope, matching, &changed, Some(path), grouping).await
    }

    fn column(&self, column: usize) -> Result<i64> {
        let id = self.columns.get(column).copied();
        id.ok_or_else(|| Error::internal("there is no such column"))
    }

    /// Returns the statement for the unchanged hours of a column that overlap this period.
    fn selected(
        &self,
        scope: &Scope,
        matching: &Matching,
        column: i64,
        span: Span,
        columns: &[(String, &'static str)],
    ) -> Statement {
        let from_s = span
            .from
            .map(|from| floor_hour(from.timestamp()))
            .max(self.from_s);
        let to_s = span
            .to
            .map_or(self.until_s, |to| ceil_hour(to).min(self.until_s));
        match self.is_of_all {
            true => self.of_all(scope, column, (from_s, to_s), columns),
            false => self.of_devices(scope, matching, column, (from_s, to_s), columns),
        }
    }

    fn of_devices(
        &self,
        scope: &Scope,
        matching: &Matching,
        column: i64,
        (from_s, to_s): (Option<i64>, i64),
        columns: &[(String, &'static str)],
    ) -> Statement {
        use rollup_hour::{Column, Entity};
        let backend = numbers::backend(scope);
        let mut query = scope
            .find::<Entity>()
            .filter(Column::ColumnId.eq(column))
            .filter(Column::HourS.lt(to_s));
        if let Some(from_s) = from_s {
            query = query.filter(Column::HourS.gte(from_s));
        }
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
        if !self.changed.is_empty() {
            let (condition, devices) = self.unchanged(backend);
            query = query.filter(Expr::cust_with_values(condition, devices));
        }
        let mut query = query.select_only().into_query();
        for (expression, name) in columns {
            query.expr_as(Expr::cust(expression.clone()), *name);
        }
        backend.build(&query)
    }

    /// Returns the statement for the sums of all devices. In hours of which the sum of all is out of date, or of which
    /// rows have changed, the hours of devices take its place; one statement decides on both.
    fn of_all(
        &self,
        scope: &Scope,
        column: i64,
        (from_s, to_s): (Option<i64>, i64),
        columns: &[(String, &'static str)],
    ) -> Statement {
        let (tenant, table) = (scope.tenant().0, self.table.0);
        let from = from_s.map(|from_s| format!(" AND hour_s >= {from_s}"));
        let period = format!("hour_s < {to_s}{}", from.unwrap_or_default());
        let changed: BTreeSet<i64> = self
            .changed
            .iter()
            .map(|(_, hour_s)| *hour_s)
            .filter(|hour_s| from_s.is_none_or(|from_s| *hour_s >= from_s) && *hour_s < to_s)
            .collect();
        let mut apart = format!(
            "SELECT DISTINCT hour_s AS at_s FROM rollup_marks WHERE tenant_id = {tenant} \
             AND data_table_id = {table} AND device_id = '{ALL_DEVICES}' AND {period}"
        );
        if !changed.is_empty() {
            apart += &format!(" UNION VALUES {}", hour_sums::rows(&changed));
        }
        let columns = hour_sums::selection(columns);
        let mut sql = format!(
            "WITH apart AS MATERIALIZED ({apart}) \
             SELECT {columns} FROM rollup_totals WHERE tenant_id = {tenant} AND column_id = {column} \
             AND {period} AND hour_s NOT IN (SELECT at_s FROM apart) \
             UNION ALL {}",
            hour_sums::of_devices(&columns, tenant, column)
        );
        let (backend, mut values) = (numbers::backend(scope), Vec::new());
        if !changed.is_empty() {
            let (condition, devices) = self.unchanged(backend);
            sql += &format!(" AND {condition}");
            values = devices;
        }
        Statement::from_sql_and_values(backend, sql, values)
    }

    /// Returns the condition that an hour is not changed, and the values in it.
    fn unchanged(&self, backend: DbBackend) -> (String, Vec<Value>) {
        let pairs = self.changed.iter().enumerate().map(|(index, (_, hour_s))| {
            let place = match backend {
                DbBackend::Postgres => format!("CAST(${} AS text)", index + 1),
                _ => "?".to_owned(),
            };
            format!("({place}, {hour_s})")
        });
        let pairs = pairs.collect::<Vec<_>>().join(", ");
        let devices = self.changed.iter();
        let devices = devices.map(|(device, _)| device.clone().into()).collect();
        let condition = format!("(device_id, hour_s) NOT IN (VALUES {pairs})");
        (condition, devices)
    }

    /// Reads the changed hours, one more than a request may read.
    async fn read_changed(&self, scope: &Scope, matching: &Matching) -> Result<Vec<(String, i64)>> {
        use rollup_mark::Column;
        let mut query = scope
            .find::<rollup_mark::Entity>()
            .filter(Column::DataTableId.eq(self.table.0))
            .filter(Column::DeviceId.ne(ALL_DEVICES))
            .filter(Column::HourS.lt(self.until_s));
        if let Some(from_s) = self.from_s {
            query = query.filter(Column::HourS.gte(from_s));
        }
        if !matching.devices.is_empty() {
            query = query.filter(Column::DeviceId.is_in(&matching.devices));
        }
        let found = query
            .select_only()
            .columns([Column::DeviceId, Column::HourS])
            .distinct()
            .order_by_asc(Column::HourS)
            .limit(CHANGED_MAX + 1)
            .into_tuple()
            .all(scope.reader())
            .await?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_whole_hour_is_read_from_rows() {
        let rolled = |from_s, until_s| Rolled {
            table: DataTableId(1),
            is_of_all: false,
            rows: 0,
            columns: Vec::new(),
            from_s,
            until_s,
            changed: Vec::new(),
        };
        let span = |from: Option<i64>, to: Option<i64>| Span {
            from: from.map(at),
            to: to.map(at),
        };
        let edges = |rolled: Rolled, whole| {
            let edges = rolled.edges(whole).into_iter();
            let seconds = |time: Option<Time>| time.map(|time| time.timestamp());
            edges
                .map(|span| (seconds(span.from), seconds(span.to)))
                .collect::<Vec<_>>()
        };
        assert_eq!(ceil_hour(at(7200)), 7200);
        assert_eq!(ceil_hour(at(7201)), 10_800);
        assert_eq!(ceil_hour(at(-1)), 0);
        assert_eq!(
            edges(rolled(Some(7200), 14_400), span(Some(7000), Some(15_000))),
            [(Some(7000), Some(7200)), (Some(14_400), Some(15_000))]
        );
        assert!(edges(rolled(Some(7200), 14_400), span(Some(7200), Some(14_400))).is_empty());
        assert_eq!(
            edges(rolled(None, 14_400), span(None, None)),
            [(Some(14_400), None)]
        );
    }
}
