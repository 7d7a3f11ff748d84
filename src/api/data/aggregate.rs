//! Aggregation of the numbers in a data table, or in the uplinks of a device.

use poem::Result;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;

use crate::{
    api::{
        data::{
            chosen_rows::ChosenRows,
            columns::{self, Column},
            figure::Figure,
            parameters::{
                self, ColumnsText, EmptyBuckets, FunctionsText, GroupText, IntervalText, ZoneText,
            },
        },
        http::{
            answer::Found,
            caller::Caller,
            parameters::parameter_group,
            span::{self, PointInTime},
            types::{Count, Id, Int, Timestamp},
        },
        tag::Tag,
    },
    error::Error,
    hub::{
        Hub,
        data::{
            aggregate::{Aggregated, Aggregation, GroupBy, Item},
            functions::Function,
        },
    },
    id::DataTableId,
    store::{
        data::{self, number::NumberPath, numbers::Matching},
        devices,
    },
    text::DeviceId,
};

/// Maximum number of buckets that a client can request.
pub type Points = Int<12, 10_000>;

/// Aggregated numbers of stored data.
#[derive(Object, Serialize)]
#[oai(rename = "Aggregate")]
struct AggregateView {
    /// Length of the buckets, such as `15m` or `1mo`: the requested one, or the one that `max_points` has chosen.
    interval: String,
    /// Time zone of the buckets.
    timezone: String,
    /// Number of rows or uplinks that matched, with and without a number.
    rows: Count,
    /// Numbers of each bucket, group and column, in ascending order of time, then by group, then in the order of the
    /// columns. The list is flat, so that tools read it as a table.
    buckets: Vec<BucketView>,
}

/// Numbers of one bucket, group and column. A function that cannot be calculated is null: the bucket has no value, or
/// for `avg`, `sum` and `stddev` a value of 1e140 or more.
#[derive(Object, Serialize)]
#[oai(rename = "AggregateBucket")]
struct BucketView {
    /// Start of the bucket.
    time: Timestamp,
    /// Identifier of the device or value of the label, by `group_by`. Null if all devices are one group, and for devices
    /// without a label of that key.
    group: Option<String>,
    /// Path of the column.
    column: String,
    /// Mean of the values. Absent unless `functions` has `avg`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    avg: Option<Figure>,
    /// Smallest value. Absent unless `functions` has `min`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<Figure>,
    /// Greatest value. Absent unless `functions` has `max`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Figure>,
    /// Sum of the values. Absent unless `functions` has `sum`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<Figure>,
    /// Number of values; 0 for an empty bucket. Absent unless `functions` has `count`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<Figure>,
    /// First value by the time of its row. Absent unless `functions` has `first`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Figure>,
    /// Last value by the time of its row. Absent unless `functions` has `last`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Figure>,
    /// Sample standard deviation; null for fewer than two values. Absent unless `functions` has `stddev`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    stddev: Option<Figure>,
    /// 1st percentile, interpolated between two values. Absent unless `functions` has `p1`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    p1: Option<Figure>,
    /// 5th percentile, interpolated between two values. Absent unless `functions` has `p5`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    p5: Option<Figure>,
    /// 10th percentile, interpolated between two values. Absent unless `functions` has `p10`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    p10: Option<Figure>,
    /// 25th percentile, interpolated between two values. Absent unless `functions` has `p25`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    p25: Option<Figure>,
    /// Median. Absent unless `functions` has `p50`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<Figure>,
    /// 75th percentile, interpolated between two values. Absent unless `functions` has `p75`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    p75: Option<Figure>,
    /// 90th percentile, interpolated between two values. Absent unless `functions` has `p90`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    p90: Option<Figure>,
    /// 95th percentile, interpolated between two values. Absent unless `functions` has `p95`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    p95: Option<Figure>,
    /// 99th percentile, interpolated between two values. Absent unless `functions` has `p99`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<Figure>,
}

parameter_group! {
    /// Buckets of an aggregation, and what is calculated for each.
    struct Buckets {
        /// Length of the buckets. With `max_points`, the shortest length. Absent: chosen by `max_points`.
        interval: IntervalText,
        /// Maximum number of buckets: chooses the shortest length for which the period has no more. 500 if both
        /// `interval` and `max_points` are absent.
        max_points: Points,
        /// Functions to calculate; `avg` if absent. `first` and `last` are by time; `stddev` is the sample standard
        /// deviation; `p95` is the 95th percentile.
        functions: FunctionsText,
        /// Time zone in which buckets begin; UTC if absent.
        timezone: ZoneText,
        /// Buckets without values: `none` omits them, `null` returns them with null in place of numbers, from `from` to
        /// `to`. `none` if absent.
        fill: EmptyBuckets,
    }
}

/// Endpoints of aggregations.
pub struct AggregatesApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3")]
impl AggregatesApi {
    /// Aggregate a data table's rows
    ///
    /// Divides the period into buckets of the same length in the calendar of `timezone`, and returns the results of the
    /// functions for each bucket, column and group. Only numbers count: texts, booleans and missing fields are left
    /// out. Filters are combined with AND.
    ///
    /// Days, weeks (from Monday) and months begin at midnight in `timezone`, so that a day has 23 or 25 hours when its
    /// clocks change. Buckets of several hours begin at the same times of every day.
    ///
    /// Reads at most 2,000,000 values (rows multiplied by columns), with percentiles 200,000, and returns at most 10,000
    /// items. Whole hours that are rolled up count as one row for each device. Fails with 400 if the request exceeds these
    /// limits, if a column does not exist or has no numbers, or if `to` is before `from`; with 404 if the data table does
    /// not exist; and with 503 if too many aggregations are in progress, or if the database needs more than 15 seconds.
    #[oai(
        path = "/data-tables/:id/rows/aggregate",
        method = "get",
        operation_id = "aggregate_rows",
        tag = "Tag::DataTables"
    )]
    async fn rows(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        buckets: Buckets,
        /// Paths of the columns. Absent: all columns of the type `number`. Required for a data table without columns.
        columns: Query<Option<ColumnsText>>,
        chosen: ChosenRows,
        /// Groups of the result: `none` for all devices together, `device` for each device, or `label:` with a key for
        /// devices with the same value of that label. `none` if absent.
        group_by: Query<Option<GroupText>>,
    ) -> Result<Found<AggregateView>> {
        let scope = caller.scope();
        let chosen_of = chosen.read(scope)?;
        let table = data::get::<Column>(scope, DataTableId(**id)).await?;
        let own = table.provisioned.columns.as_deref();
        let columns = columns::numeric(own, columns.0.as_ref())?;
        let matching = chosen_of(table.id);
        let group_by = parameters::group_by(group_by.0.as_ref());
        let request = buckets.of(matching, columns, group_by);
        Ok(self.answer(&caller, &request).await?)
    }

    /// Aggregate a device's uplinks
    ///
    /// Divides the period into buckets of the same length in the calendar of `timezone`, and returns the results of the
    /// functions for each bucket and column, from the decoded `data` of the stored uplinks by their `time`. Buckets,
    /// functions and limits are those of `aggregate_rows`.
    ///
    /// Fails with 400 if the request exceeds the limits or if `to` is before `from`, with 404 if the device does not
    /// exist, and with 503 if too many aggregations are in progress, or if the database needs more than 15 seconds.
    #[oai(
        path = "/devices/:id/uplinks/aggregate",
        method = "get",
        operation_id = "aggregate_device_uplinks",
        tag = "Tag::Devices"
    )]
    async fn uplinks(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        /// Paths of the decoded fields, with their parts joined by dots, such as `door.angle`.
        columns: Query<ColumnsText>,
        buckets: Buckets,
        /// Start of the period, inclusive. Absent: the first uplink.
        from: Query<Option<PointInTime>>,
        /// End of the period, exclusive. Absent: the last uplink.
        to: Query<Option<PointInTime>>,
    ) -> Result<Found<AggregateView>> {
        let scope = caller.scope();
        let span = span::asked(from.0, to.0, scope)?;
        let columns = parameters::columns(columns.0.split(','))?;
        let device = devices::get(scope, &id.0).await?;
        let matching = Matching::uplinks(device.key, span);
        let request = buckets.of(matching, columns, GroupBy::Nothing);
        Ok(self.answer(&caller, &request).await?)
    }
}

impl AggregatesApi {
    async fn answer(
        &self,
        caller: &Caller,
        request: &Aggregation,
    ) -> Result<Found<AggregateView>, Error> {
        let found = self.hub.aggregate(caller.scope(), request).await?;
        let Aggregated {
            interval,
            rows,
            items,
        } = found;
        let buckets = items.into_iter();
        Ok(Found(AggregateView {
            interval: interval.to_string(),
            timezone: request.zone.name().to_owned(),
            rows: Count::saturating(rows),
            buckets: buckets
                .map(|item| BucketView::of(item, &request.columns, &request.functions))
                .collect(),
        }))
    }
}

impl Buckets {
    /// Returns the aggregation of these values.
    fn of(self, matching: Matching, columns: Vec<NumberPath>, group_by: GroupBy) -> Aggregation {
        let points = self.max_points.map(|points| usize::try_from(*points));
        Aggregation {
            matching,
            columns,
            interval: parameters::interval(self.interval.as_ref()),
            max_points: points.and_then(Result::ok),
            functions: parameters::functions(self.functions.as_ref()),
            zone: parameters::zone(self.timezone.as_ref()),
            group_by,
            fills: self.fill == Some(EmptyBuckets::Null),
        }
    }
}

impl BucketView {
    fn of(item: Item, columns: &[NumberPath], functions: &[Function]) -> Self {
        let Item {
            time,
            group,
            column,
            figures,
        } = item;
        let figure = |function| {
            let is_requested = functions.contains(&function);
            is_requested.then(|| Figure(figures.of(function)))
        };
        let path = columns.get(column).map(NumberPath::as_str);
        Self {
            time: Timestamp(time),
            group,
            column: path.unwrap_or_default().to_owned(),
            avg: figure(Function::Avg),
            min: figure(Function::Min),
            max: figure(Function::Max),
            sum: figure(Function::Sum),
            count: figure(Function::Count),
            first: figure(Function::First),
            last: figure(Function::Last),
            stddev: figure(Function::Stddev),
            p1: figure(Function::Percentile(1)),
            p5: figure(Function::Percentile(5)),
            p10: figure(Function::Percentile(10)),
            p25: figure(Function::Percentile(25)),
            p50: figure(Function::Percentile(50)),
            p75: figure(Function::Percentile(75)),
            p90: figure(Function::Percentile(90)),
            p95: figure(Function::Percentile(95)),
            p99: figure(Function::Percentile(99)),
        }
    }
}
