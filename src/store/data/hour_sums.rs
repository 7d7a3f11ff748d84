//! Statements that add up rolled up hours, those of devices or those of all devices together.

use sea_orm::{DbBackend, DbErr, QueryResult, Statement};

use super::{
    numbers::{BaseBucket, Grouping, NO_DEVICE, backend, base_bucket, run_around},
    row_hours::HOUR_S,
};
use crate::{clock::Time, error::Result, store::core::scope::Scope};

/// Form of the sums of all devices in an hour.
const TOTALS: Grouping = Grouping {
    base_s: HOUR_S,
    by_device: false,
    with_edges: true,
    with_spread: true,
};

/// Expressions of what is added up, with their names. `device` is the expression of the device.
pub(super) fn columns(
    backend: DbBackend,
    device: &'static str,
    grouping: Grouping,
) -> Vec<(String, &'static str)> {
    let base_s = grouping.base_s;
    // Hours before 1970 are below 0, where divisions round up.
    let bucket = format!("(hour_s - ((hour_s % {base_s}) + {base_s}) % {base_s}) / {base_s}");
    let mut columns = vec![(device.to_owned(), "d"), (bucket, "b")];
    let plain = |name: &'static str| (name.to_owned(), name);
    columns.extend(["numbers", "huge", "total", "mean", "squares", "low", "high"].map(plain));
    if grouping.with_edges {
        columns.extend(["first_number", "first_us", "last_number", "last_us"].map(plain));
        let key = |name| match backend {
            DbBackend::Postgres => format!("CAST({name} AS text)"),
            _ => format!("lower(hex({name}))"),
        };
        columns.push((key("first_id"), "first_key"));
        columns.push((key("last_id"), "last_key"));
    }
    columns
}

/// Adds up the hours that a statement selects with these columns.
pub(super) async fn sums_of(
    scope: &Scope,
    hours: Statement,
    grouping: Grouping,
    limit: u64,
) -> Result<Vec<BaseBucket>> {
    let found = run_around(scope, hours, |hours| sums_sql(hours, grouping, limit)).await?;
    let read = |row: &QueryResult| {
        let micros = |index| row.try_get_by_index::<i64>(index);
        let time = |index| Ok(Time::from_timestamp_micros(micros(index)?).unwrap_or_default());
        base_bucket(row, grouping, time)
    };
    Ok(found.iter().map(read).collect::<Result<_, DbErr>>()?)
}

/// Returns the sums of a column of all devices in these hours, as far as there are any.
pub(in crate::store) async fn of_all_devices(
    scope: &Scope,
    column: i64,
    hours: &[i64],
) -> Result<Vec<BaseBucket>> {
    if hours.is_empty() {
        return Ok(Vec::new());
    }
    let backend = backend(scope);
    let columns = selection(&columns(backend, NO_DEVICE, TOTALS));
    let apart = format!("VALUES {}", rows(hours));
    let sql = format!(
        "WITH apart(at_s) AS ({apart}) {}",
        of_devices(&columns, scope.tenant().0, column)
    );
    let hours = Statement::from_string(backend, sql);
    sums_of(scope, hours, TOTALS, u64::from(u32::MAX)).await
}

/// Returns the statement for the hours of all devices whose times are in the table `apart`. The join goes from there to
/// the hours: SQLite, which does not know how many there are, would otherwise read all hours of the column.
pub(super) fn of_devices(columns: &str, tenant: i64, column: i64) -> String {
    format!(
        "SELECT {columns} FROM apart CROSS JOIN rollup_hours \
         WHERE tenant_id = {tenant} AND column_id = {column} AND hour_s = at_s"
    )
}

/// Returns the text of columns.
pub(super) fn selection(columns: &[(String, &'static str)]) -> String {
    let named = columns.iter().map(|(one, name)| format!("{one} AS {name}"));
    named.collect::<Vec<_>>().join(", ")
}

/// Returns the text of rows of one number each.
pub(super) fn rows<'a>(numbers: impl IntoIterator<Item = &'a i64>) -> String {
    let rows = numbers.into_iter().map(|number| format!("({number})"));
    rows.collect::<Vec<_>>().join(", ")
}

/// Returns the statement for the sums of hours. The mean and the squares are put together as those of rows are.
fn sums_sql(hours: &str, grouping: Grouping, limit: u64) -> String {
    let (ranks, edges) = match grouping.with_edges {
        true => (
            ", ROW_NUMBER() OVER (PARTITION BY d, b ORDER BY first_us, first_key) AS f, \
             ROW_NUMBER() OVER (PARTITION BY d, b ORDER BY last_us DESC, last_key DESC) AS l",
            ", max(CASE WHEN f = 1 THEN first_number END), max(CASE WHEN f = 1 THEN first_us END), \
             max(CASE WHEN f = 1 THEN first_key END), max(CASE WHEN l = 1 THEN last_number END), \
             max(CASE WHEN l = 1 THEN last_us END), max(CASE WHEN l = 1 THEN last_key END)",
        ),
        false => ("", ""),
    };
    let mean = match grouping.with_spread {
        true => {
            "sum((numbers - huge) * mean) OVER (PARTITION BY d, b) \
             / nullif(sum(numbers - huge) OVER (PARTITION BY d, b), 0)"
        }
        false => "CAST(0 AS float8)",
    };
    format!(
        "WITH v AS MATERIALIZED ({hours}), p AS (SELECT *, {mean} AS a{ranks} FROM v) \
         SELECT d, b, CAST(sum(numbers) AS bigint), CAST(sum(huge) AS bigint), sum(total), min(low), max(high), \
         max(a), sum((numbers - huge) * (mean - a)), \
         sum(squares + CASE WHEN abs(mean - a) > 1e-140 THEN (numbers - huge) * ((mean - a) * (mean - a)) ELSE 0.0 END)\
         {edges} FROM p GROUP BY d, b LIMIT {limit}"
    )
}
