//! Sums of rows by hours of devices: those that are rolled up, and those of hours that have changed since.

use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Expr, SelectStatement},
};

use super::{
    number::NumberPath,
    numbers::{self, BaseBucket, Grouping, Matching, Source, device_expression, selected},
};
use crate::{
    clock::Time,
    error::Result,
    id::DataTableId,
    store::{
        core::{listing::Span, scope::Scope},
        entities::data_table_row,
    },
};

/// Length of the rolled up buckets in seconds.
pub const HOUR_S: i64 = 3600;
/// Number of changed periods that one statement reads.
pub(super) const CHANGED_AT_ONCE: usize = 100;

/// A device, and a period of whole hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Identifier of the device.
    pub device: String,
    /// Start of the period, in seconds since 1970.
    pub from_s: i64,
    /// End of the period.
    pub to_s: i64,
}

/// Returns the sums of the rows in these periods; without a path, of a 0 for each row.
pub(in crate::store) async fn changed_sums(
    scope: &Scope,
    matching: &Matching,
    changed: &[Changed],
    path: Option<&NumberPath>,
    grouping: Grouping,
) -> Result<Vec<BaseBucket>> {
    let mut sums = Vec::new();
    for part in changed.chunks(CHANGED_AT_ONCE) {
        let rows = changed_rows(scope, matching, part);
        let device = device_expression(matching, grouping.by_device);
        let number = number(scope, path);
        sums.extend(
            numbers::sums_of(scope, rows, device, number, grouping, u64::from(u32::MAX)).await?,
        );
    }
    Ok(sums)
}

/// Returns the sums of all rows in a period by device and hour; without a path, of a 0 for each row.
pub(in crate::store) async fn hourly(
    scope: &Scope,
    table: DataTableId,
    span: Span,
    path: Option<&NumberPath>,
) -> Result<Vec<BaseBucket>> {
    let matching = all_of(table);
    let rows = selected(scope, &matching, span);
    let device = device_expression(&matching, true);
    let number = number(scope, path);
    numbers::sums_of(scope, rows, device, number, HOURLY, u64::from(u32::MAX)).await
}

/// Form of the sums that are rolled up.
pub(in crate::store) const HOURLY: Grouping = Grouping {
    base_s: HOUR_S,
    by_device: true,
    with_edges: true,
    with_spread: true,
};

/// Returns the condition of all rows of a data table.
pub(in crate::store) fn all_of(table: DataTableId) -> Matching {
    Matching {
        source: Source::Rows(table),
        devices: Vec::new(),
        selector: None,
        span: Span::default(),
    }
}

fn number(scope: &Scope, path: Option<&NumberPath>) -> Expr {
    match path {
        Some(path) => path.number(numbers::backend(scope)),
        None => Expr::cust("CAST(0 AS float8)"),
    }
}

/// Returns the query for the rows in these periods, without columns.
pub(super) fn changed_rows(
    scope: &Scope,
    matching: &Matching,
    changed: &[Changed],
) -> SelectStatement {
    use data_table_row::Column;
    let any = changed.iter().fold(Condition::any(), |any, one| {
        let span = Span {
            from: Some(at(one.from_s)),
            to: Some(at(one.to_s)),
        };
        let of_device = Column::DeviceId.eq(&one.device);
        any.add(Condition::all().add(of_device).add(span.of(Column::Ts)))
    });
    let mut rows = selected(scope, matching, Span::default());
    rows.cond_where(any).to_owned()
}

/// Returns the hours of devices as periods; sorts them by device and time.
pub(in crate::store) fn merged(mut hours: Vec<(String, i64)>) -> Vec<Changed> {
    hours.sort_unstable();
    hours.dedup();
    let mut periods: Vec<Changed> = Vec::new();
    for (device, hour_s) in hours {
        match periods.last_mut() {
            Some(last) if last.device == device && last.to_s == hour_s => last.to_s += HOUR_S,
            _ => periods.push(Changed {
                device,
                from_s: hour_s,
                to_s: hour_s + HOUR_S,
            }),
        }
    }
    periods
}

/// Returns the time of a number of seconds since 1970.
pub(super) fn at(time_s: i64) -> Time {
    Time::from_timestamp(time_s, 0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_next_to_each_other_are_one_period() {
        let hour = |device: &str, hour: i64| (device.to_owned(), hour * HOUR_S);
        let hours = vec![
            hour("b", 2),
            hour("a", 3),
            hour("a", 2),
            hour("a", 3),
            hour("a", 5),
        ];
        let periods = merged(hours);
        let periods: Vec<_> = periods
            .iter()
            .map(|one| (one.device.as_str(), one.from_s / HOUR_S, one.to_s / HOUR_S))
            .collect();
        assert_eq!(periods, [("a", 2, 4), ("a", 5, 6), ("b", 2, 3)]);
    }
}
