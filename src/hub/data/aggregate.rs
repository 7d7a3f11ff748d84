//! Aggregation of stored numbers: each bucket of time becomes one number per function.
//!
//! The number of rows is known before they are read, and they are read in stretches of time, so that no request
//! takes a database for long. Whole hours are read from rollups as far as there are any.

use chrono::TimeDelta;

pub use super::aggregation::{Aggregation, GroupBy};
use super::{
    aggregation::{Buckets, entry},
    calendar::Calendar,
    fold::Figures,
    groups::Groups,
    interval::Interval,
    plan::{Plan, Reading, SORTED_MAX, VALUES_MAX},
};
use crate::{
    clock::Time,
    error::{Error, Result},
    hub::Hub,
    store::{
        Scope,
        core::listing::Span,
        data::{
            numbers::Extent,
            rollups::{self, Rolled},
            row_hours::HOUR_S,
        },
    },
};

/// Number of buckets if the client names neither their length nor their number.
pub const POINTS_DEFAULT: usize = 500;

/// Result of an aggregation.
#[derive(Debug, Clone)]
pub struct Aggregated {
    /// Length of the buckets.
    pub interval: Interval,
    /// Number of rows that matched.
    pub rows: u64,
    /// The items by time, group and column.
    pub items: Vec<Item>,
}

/// Numbers of one bucket, group and column.
#[derive(Debug, Clone)]
pub struct Item {
    /// Start of the bucket.
    pub time: Time,
    /// Group; `None` if there is one group only, or for devices without a value of the label key.
    pub group: Option<String>,
    /// Index of the column.
    pub column: usize,
    /// The numbers.
    pub figures: Figures,
}

impl Hub {
    /// Aggregates numbers of stored rows.
    pub async fn aggregate(&self, scope: &Scope, request: &Aggregation) -> Result<Aggregated> {
        let (scope, request) = (scope.clone(), request.clone());
        let tenant = scope.tenant();
        let uses_rollups = self.config.rollups;
        let reads = async move { aggregate(&scope, &request, uses_rollups).await };
        let (aggregated, was_rolled) = self.charts.run(tenant, reads).await?;
        self.metrics.rollups.count_aggregation(was_rolled);
        Ok(aggregated)
    }
}

/// Aggregates rollups as far as there are any, and rows. Returns true if rollups were read.
async fn aggregate(
    scope: &Scope,
    request: &Aggregation,
    uses_rollups: bool,
) -> Result<(Aggregated, bool)> {
    let needs_values = request.functions.iter().any(|one| one.needs_values());
    if uses_rollups && !needs_values {
        let by_device = request.group_by != GroupBy::Nothing;
        let rolled = rollups::find(scope, &request.matching, &request.columns, by_device).await?;
        if let Some(rolled) = rolled
            && let Some(aggregated) = read(scope, request, Some(&rolled)).await?
            && rolled.is_current(scope).await?
        {
            return Ok((aggregated, true));
        }
    }
    let aggregated = read(scope, request, None).await?;
    let aggregated =
        aggregated.ok_or_else(|| Error::internal("rows have buckets of all lengths"))?;
    Ok((aggregated, false))
}

/// Reads and aggregates; `None` if rollups have no buckets of the length that is needed.
async fn read(
    scope: &Scope,
    request: &Aggregation,
    rolled: Option<&Rolled>,
) -> Result<Option<Aggregated>> {
    let needs_values = request.functions.iter().any(|one| one.needs_values());
    let most = if needs_values { SORTED_MAX } else { VALUES_MAX };
    let plan = Plan::make(scope, request, rolled, most).await?;
    let period = period(request, plan.whole);
    let interval = chosen(request, period);
    let calendar = Calendar::new(interval, request.zone);
    let mut buckets = Buckets::new();
    let mut groups = Groups::new(&request.group_by);
    if let Some((first, last)) = plan.whole.times {
        let base_s = calendar.base_s(first, last);
        if rolled.is_some() && base_s % HOUR_S != 0 {
            return Ok(None);
        }
        for (source, span) in plan.stretches(base_s) {
            let reading = Reading {
                scope,
                request,
                calendar,
                base_s,
                source,
                span,
            };
            for column in 0..request.columns.len() {
                reading.sums(column, &mut groups, &mut buckets).await?;
                if needs_values {
                    reading.values(column, &mut groups, &mut buckets).await?;
                }
            }
        }
    }
    if let Some(period) = period.filter(|_| request.fills) {
        fill(&mut buckets, calendar, period, request)?;
    }
    let items = buckets.into_iter();
    let items = items.map(|((time, group, column), mut figures)| {
        figures.sort();
        Item {
            time,
            group,
            column,
            figures,
        }
    });
    Ok(Some(Aggregated {
        interval,
        rows: plan.whole.rows,
        items: items.collect(),
    }))
}

/// Returns the period that the buckets divide: that of the rows, or with empty buckets the requested one.
fn period(request: &Aggregation, extent: Extent) -> Option<(Time, Time)> {
    let Span { from, to } = request.matching.span;
    let requested = (from, to.map(|to| to - TimeDelta::microseconds(1)));
    let (first, last) = extent.times.unzip();
    match request.fills {
        true => requested.0.or(first).zip(requested.1.or(last)),
        false => first.zip(last),
    }
}

/// Returns the length of the buckets.
fn chosen(request: &Aggregation, period: Option<(Time, Time)>) -> Interval {
    match (request.interval, request.max_points) {
        (Some(interval), None) => interval,
        (least, points) => {
            let seconds = period.map_or(0, |(from, to)| (to - from).num_seconds());
            Interval::for_buckets(least, seconds, points.unwrap_or(POINTS_DEFAULT))
        }
    }
}

/// Adds the buckets without numbers.
fn fill(
    buckets: &mut Buckets,
    calendar: Calendar,
    (from, to): (Time, Time),
    request: &Aggregation,
) -> Result<()> {
    let mut kinds: Vec<_> = buckets
        .keys()
        .map(|(_, group, column)| (group.clone(), *column))
        .collect();
    if request.group_by == GroupBy::Nothing {
        kinds.extend((0..request.columns.len()).map(|column| (None, column)));
    }
    kinds.sort_unstable();
    kinds.dedup();
    let mut start = calendar.start(from);
    while start <= to && !kinds.is_empty() {
        for (group, column) in &kinds {
            entry(buckets, start, group.clone(), *column)?;
        }
        start = calendar.next(start);
    }
    Ok(())
}
