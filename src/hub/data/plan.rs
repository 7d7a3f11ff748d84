//! Parts of an aggregation: whole hours that are read from rollups, and what is read from rows.

use super::{
    aggregation::{Aggregation, Buckets, GroupBy, entry},
    calendar::{Calendar, at},
    functions::Function,
    groups::Groups,
};
use crate::{
    clock::Time,
    error::{Error, Result},
    store::{
        Scope,
        core::listing::Span,
        data::{
            number::NumberPath,
            numbers::{self, Extent, Grouping, Matching},
            rollups::Rolled,
        },
    },
};

/// Maximum number of values (rows or rolled up hours, by columns) that one request reads. An hour is one of a device, or
/// of all devices if they are not told apart.
pub const VALUES_MAX: u64 = 2_000_000;
/// Maximum number of values for percentiles, which are held in memory.
pub const SORTED_MAX: u64 = 200_000;
/// Number of rows, or of rolled up hours, that are read at a time, if they are spread evenly.
const STRETCH_ROWS: u64 = 50_000;
/// Maximum number of base buckets that one statement returns.
const BASES_MAX: u64 = 200_000;

/// Source of a part of the sums.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// Rows.
    Rows,
    /// Rolled up hours.
    Hours(&'a Rolled),
    /// Rows of hours that have changed since they were rolled up.
    Changed(&'a Rolled),
}

/// What an aggregation reads.
pub(super) struct Plan<'a> {
    /// Number and period of all rows that match.
    pub whole: Extent,
    /// Sources with the period of their rows, and the number of rows or hours that are read.
    parts: Vec<(Source<'a>, (Time, Time), u64)>,
}

impl<'a> Plan<'a> {
    /// Finds out what is to be read; fails if it is more than a request may read.
    pub async fn make(
        scope: &Scope,
        request: &Aggregation,
        rolled: Option<&'a Rolled>,
        values_max: u64,
    ) -> Result<Self> {
        let mut plan = Self {
            whole: Extent {
                rows: 0,
                times: None,
            },
            parts: Vec::new(),
        };
        let (matching, columns) = (&request.matching, request.columns.len());
        let Some(rolled) = rolled else {
            let extent = read_extent(scope, matching, columns, values_max).await?;
            plan.add(Source::Rows, extent, extent.rows);
            return Ok(plan);
        };
        let most = rows_max(columns, values_max);
        let (hours, extent) = rolled.extent(scope, matching, most + 1).await?;
        plan.add(Source::Hours(rolled), extent, hours);
        let changed = rolled.changed_extent(scope, matching, most + 1).await?;
        plan.add(Source::Changed(rolled), changed, changed.rows);
        for span in rolled.edges(matching.span) {
            let extent = numbers::extent(scope, matching, span, most + 1).await?;
            plan.add(Source::Rows, extent, extent.rows);
        }
        let reads: u64 = plan.parts.iter().map(|(_, _, reads)| reads).sum();
        check_size(reads, columns, most, "rows and rolled up hours")?;
        Ok(plan)
    }

    fn add(&mut self, source: Source<'a>, extent: Extent, reads: u64) {
        self.whole = self.whole.and(extent);
        let part = extent.times.map(|times| (source, times, reads));
        self.parts.extend(part);
    }

    /// Returns the sources in stretches between base buckets.
    pub fn stretches(&self, base_s: i64) -> Vec<(Source<'a>, Span)> {
        let divide = |(source, times, reads): &(Source<'a>, (Time, Time), u64)| {
            let (source, (first, last)) = (*source, *times);
            let spans = match source {
                Source::Changed(_) => vec![Span::default()],
                Source::Rows | Source::Hours(_) => stretches(first, last, base_s, *reads),
            };
            spans.into_iter().map(move |span| (source, span))
        };
        self.parts.iter().flat_map(divide).collect()
    }
}

/// Returns the number and the period of the rows; fails if there are more than a request may read.
pub(super) async fn read_extent(
    scope: &Scope,
    matching: &Matching,
    columns: usize,
    values_max: u64,
) -> Result<Extent> {
    let most = rows_max(columns, values_max);
    let extent = numbers::extent(scope, matching, matching.span, most + 1).await?;
    check_size(extent.rows, columns, most, "rows")?;
    Ok(extent)
}

fn rows_max(columns: usize, values_max: u64) -> u64 {
    let columns = u64::try_from(columns).unwrap_or(u64::MAX).max(1);
    values_max / columns
}

fn check_size(reads: u64, columns: usize, most: u64, what: &str) -> Result<()> {
    if reads <= most {
        return Ok(());
    }
    Err(Error::field(
        "from",
        format!(
            "the period has more than {most} {what}, which is the limit for {columns} columns and these functions; \
             choose a shorter period, fewer devices or fewer columns"
        ),
    ))
}

/// Divides a period of rows or hours into stretches of about [`STRETCH_ROWS`] of them, between base buckets.
fn stretches(first: Time, last: Time, base_s: i64, rows: u64) -> Vec<Span> {
    let parts = i64::try_from(rows.div_ceil(STRETCH_ROWS)).unwrap_or(i64::MAX);
    let parts = parts.max(1);
    let (first_s, end_s) = (first.timestamp(), last.timestamp() + 1);
    let length_s = ((end_s - first_s) / parts / base_s + 1) * base_s;
    let mut from_s = first_s.div_euclid(base_s) * base_s;
    let mut spans = Vec::new();
    while from_s < end_s {
        spans.push(Span {
            from: Some(at(from_s).max(first)),
            to: Some(at((from_s + length_s).min(end_s))),
        });
        from_s += length_s;
    }
    spans
}

/// One stretch of time that is read.
pub(super) struct Reading<'a> {
    pub scope: &'a Scope,
    pub request: &'a Aggregation,
    pub calendar: Calendar,
    pub base_s: i64,
    pub source: Source<'a>,
    pub span: Span,
}

impl Reading<'_> {
    fn path(&self, column: usize) -> Result<&NumberPath> {
        let path = self.request.columns.get(column);
        path.ok_or_else(|| Error::internal("there is no such column"))
    }

    fn is_by_device(&self) -> bool {
        self.request.group_by != GroupBy::Nothing
    }

    /// Adds the sums of a column.
    pub async fn sums(
        &self,
        column: usize,
        groups: &mut Groups<'_>,
        buckets: &mut Buckets,
    ) -> Result<()> {
        let grouping = Grouping {
            base_s: self.base_s,
            by_device: self.is_by_device(),
            with_edges: self.request.functions.iter().any(|one| one.needs_order()),
            with_spread: self.request.functions.contains(&Function::Stddev),
        };
        let (scope, matching, span) = (self.scope, &self.request.matching, self.span);
        let (path, most) = (self.path(column)?, BASES_MAX + 1);
        let found = match self.source {
            Source::Rows => numbers::sums(scope, matching, span, path, grouping, most).await?,
            Source::Hours(rolled) => {
                let sums = rolled.sums(scope, matching, span, column, grouping, most);
                sums.await?
            }
            Source::Changed(rolled) => {
                let sums = rolled.changed_sums(scope, matching, path, grouping);
                sums.await?
            }
        };
        if found.len() as u64 > BASES_MAX {
            return Err(Error::field(
                "from",
                format!(
                    "the period has more than {BASES_MAX} groups; choose a shorter period or fewer devices"
                ),
            ));
        }
        groups
            .learn(scope, found.iter().map(|base| &base.device))
            .await?;
        for base in found {
            let start = self.calendar.start(at(base.start_s));
            let group = groups.of(base.device);
            entry(buckets, start, group, column)?.add(base.sums);
        }
        Ok(())
    }

    /// Adds the numbers of a column, for functions that need them all.
    pub async fn values(
        &self,
        column: usize,
        groups: &mut Groups<'_>,
        buckets: &mut Buckets,
    ) -> Result<()> {
        let (scope, matching) = (self.scope, &self.request.matching);
        let path = self.path(column)?;
        let by_device = self.is_by_device();
        let found =
            numbers::values(scope, matching, self.span, path, by_device, SORTED_MAX).await?;
        groups
            .learn(scope, found.iter().map(|number| &number.device))
            .await?;
        for number in found {
            let start = self.calendar.start(number.time);
            let group = groups.of(number.device);
            entry(buckets, start, group, column)?.push(number.value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_the_period_once_between_base_buckets() {
        let (first, last) = (at(1000), at(1_000_000));
        for (base_s, rows) in [
            (60, 1),
            (3600, 1_000_000),
            (86_400, 60_000),
            (60, 2_000_000),
        ] {
            let spans = stretches(first, last, base_s, rows);
            assert_eq!(spans[0].from, Some(first));
            assert!(spans[spans.len() - 1].to > Some(last));
            for pair in spans.windows(2) {
                assert_eq!(pair[0].to, pair[1].from);
                assert_eq!(pair[0].to.unwrap().timestamp() % base_s, 0);
            }
            assert!(spans.len() as u64 <= rows.div_ceil(STRETCH_ROWS) + 1);
        }
    }
}
