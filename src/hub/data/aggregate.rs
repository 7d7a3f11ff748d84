//! Aggregation of stored numbers: each bucket of time becomes one number per function.
//!
//! The number of rows is known before they are read, and they are read in stretches of time, so that no request
//! takes a database for long.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::{
    calendar::{Calendar, at},
    fold::Figures,
    functions::Function,
    interval::Interval,
};
use crate::{
    clock::Time,
    error::{Error, Result},
    hub::Hub,
    store::{
        Scope,
        core::listing::Span,
        data::{
            number::NumberPath,
            numbers::{self, Extent, Grouping, Matching},
        },
        devices::labels_of,
    },
};

/// Maximum number of values (rows by columns) that one request reads.
const VALUES_MAX: u64 = 2_000_000;
/// Maximum number of values for percentiles, which are held in memory.
pub const SORTED_MAX: u64 = 200_000;
/// Maximum number of items (buckets by groups by columns) in an answer.
const ITEMS_MAX: usize = 10_000;
/// Number of rows that are read at a time, if they are spread evenly.
const STRETCH_ROWS: u64 = 50_000;
/// Maximum number of base buckets that one statement returns.
const BASES_MAX: u64 = 200_000;
/// Number of buckets if the client names neither their length nor their number.
pub const POINTS_DEFAULT: usize = 500;

/// Group to which one item of the answer belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// All devices together.
    Nothing,
    /// Each device.
    Device,
    /// Devices with the same value of this label key.
    Label(String),
}

/// Aggregation that a client requests.
#[derive(Debug, Clone)]
pub struct Aggregation {
    /// Rows to read.
    pub matching: Matching,
    /// Paths of the numbers.
    pub columns: Vec<NumberPath>,
    /// Length of the buckets, or with `max_points` the shortest length.
    pub interval: Option<Interval>,
    /// Maximum number of buckets.
    pub max_points: Option<usize>,
    /// Functions.
    pub functions: Vec<Function>,
    /// Time zone of the buckets.
    pub zone: Tz,
    /// Group to which one item of the answer belongs.
    pub group_by: GroupBy,
    /// True for items of buckets without numbers.
    pub fills: bool,
}

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

/// Figures by bucket, group and column.
type Buckets = BTreeMap<(Time, Option<String>, usize), Figures>;

impl Hub {
    /// Aggregates numbers of stored rows.
    pub async fn aggregate(&self, scope: &Scope, request: &Aggregation) -> Result<Aggregated> {
        let (scope, request) = (scope.clone(), request.clone());
        let tenant = scope.tenant();
        let reads = async move { aggregate(&scope, &request).await };
        self.charts.run(tenant, reads).await
    }
}

async fn aggregate(scope: &Scope, request: &Aggregation) -> Result<Aggregated> {
    let has_values = request.functions.iter().any(|one| one.needs_values());
    let most = if has_values { SORTED_MAX } else { VALUES_MAX };
    let extent = read_extent(scope, &request.matching, request.columns.len(), most).await?;
    let period = period(request, extent);
    let interval = chosen(request, period);
    let calendar = Calendar::new(interval, request.zone);
    let mut buckets = Buckets::new();
    let mut groups = Groups::new(&request.group_by);
    if let Some((first, last)) = extent.times {
        let base_s = calendar.base_s(first, last);
        for span in stretches(first, last, base_s, extent.rows) {
            let reading = Reading {
                scope,
                request,
                calendar,
                base_s,
                span,
            };
            for column in 0..request.columns.len() {
                reading.sums(column, &mut groups, &mut buckets).await?;
                if has_values {
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
    Ok(Aggregated {
        interval,
        rows: extent.rows,
        items: items.collect(),
    })
}

/// Returns the number and the period of the rows; fails if there are more than a request may read.
pub(super) async fn read_extent(
    scope: &Scope,
    matching: &Matching,
    columns: usize,
    values_max: u64,
) -> Result<Extent> {
    let columns = u64::try_from(columns).unwrap_or(u64::MAX).max(1);
    let rows_max = values_max / columns;
    let extent = numbers::extent(scope, matching, rows_max + 1).await?;
    if extent.rows > rows_max {
        return Err(Error::field(
            "from",
            format!(
                "the period has more than {rows_max} rows, which is the limit for {columns} columns and these \
                 functions; choose a shorter period, fewer devices or fewer columns"
            ),
        ));
    }
    Ok(extent)
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

/// Divides the period of the rows into stretches of about [`STRETCH_ROWS`] rows, between base buckets.
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

/// Returns the figures of a bucket, which are new if it had none; fails if the answer would have too many items.
fn entry(
    buckets: &mut Buckets,
    start: Time,
    group: Option<String>,
    column: usize,
) -> Result<&mut Figures> {
    let key = (start, group, column);
    if buckets.len() >= ITEMS_MAX && !buckets.contains_key(&key) {
        return Err(Error::field(
            "interval",
            format!(
                "the answer would have more than {ITEMS_MAX} items (buckets by groups by columns); choose a longer \
                 interval, a shorter period, or fewer groups or columns"
            ),
        ));
    }
    Ok(buckets.entry(key).or_default())
}

/// One stretch of time that is read.
struct Reading<'a> {
    scope: &'a Scope,
    request: &'a Aggregation,
    calendar: Calendar,
    base_s: i64,
    span: Span,
}

impl Reading<'_> {
    fn path(&self, column: usize) -> Result<&NumberPath> {
        let path = self.request.columns.get(column);
        path.ok_or_else(|| Error::internal("there is no such column"))
    }

    fn is_by_device(&self) -> bool {
        self.request.group_by != GroupBy::Nothing
    }

    async fn sums(
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
        let (scope, matching) = (self.scope, &self.request.matching);
        let path = self.path(column)?;
        let found =
            numbers::sums(scope, matching, self.span, path, grouping, BASES_MAX + 1).await?;
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

    async fn values(
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

/// Groups of devices.
struct Groups<'a> {
    by: &'a GroupBy,
    /// Values of the label key by device.
    known: HashMap<String, Option<String>>,
}

impl<'a> Groups<'a> {
    fn new(by: &'a GroupBy) -> Self {
        Self {
            by,
            known: HashMap::new(),
        }
    }

    /// Reads the labels of the devices that are new.
    async fn learn(
        &mut self,
        scope: &Scope,
        devices: impl Iterator<Item = &Option<String>>,
    ) -> Result<()> {
        let GroupBy::Label(key) = self.by else {
            return Ok(());
        };
        let mut unknown: Vec<String> = devices
            .flatten()
            .filter(|device| !self.known.contains_key(*device))
            .cloned()
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        let mut labels = labels_of(scope, &unknown).await?;
        for device in unknown {
            let value = labels.remove(&device).and_then(|labels| {
                let values = labels.iter().filter_map(|label| label.split_once('='));
                let mut own = values.filter(|(name, _)| name == key);
                own.next().map(|(_, value)| value.to_owned())
            });
            self.known.insert(device, value);
        }
        Ok(())
    }

    fn of(&self, device: Option<String>) -> Option<String> {
        match self.by {
            GroupBy::Nothing => None,
            GroupBy::Device => device,
            GroupBy::Label(_) => self.known.get(&device?).cloned().flatten(),
        }
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
