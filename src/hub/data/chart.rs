//! Lines of a chart: the stored numbers of columns and devices, reduced to what a picture can show.

use std::collections::BTreeMap;

use super::{
    plan::{SORTED_MAX, read_extent},
    reduce::{Point, reduce, segments},
};
use crate::{
    clock::Time,
    error::{Error, Result},
    hub::Hub,
    store::{
        Scope,
        data::{
            number::NumberPath,
            numbers::{self, Matching},
        },
    },
};

/// Maximum number of lines of a chart, which has as many colours.
pub const LINES_MAX: usize = 12;
/// Numbers beyond this, in either direction, are not drawn: a scale could not hold them.
const DRAWN_MAX: f64 = 1e100;

/// Chart that a client requests.
#[derive(Debug, Clone)]
pub struct ChartRequest {
    /// Rows to read.
    pub matching: Matching,
    /// Paths of the numbers.
    pub columns: Vec<NumberPath>,
    /// True for lines of each device.
    pub by_device: bool,
    /// Maximum number of points of a line.
    pub points_max: usize,
}

/// Line of a chart.
#[derive(Debug, Clone)]
pub struct Line {
    /// Identifier of the device; `None` if there is one only.
    pub device: Option<String>,
    /// Index of the column.
    pub column: usize,
    /// Points that are connected.
    pub segments: Vec<Vec<Point>>,
}

/// Lines of a chart, with the times of the first and the last row.
#[derive(Debug, Clone)]
pub struct Lines {
    /// The lines, by device and column.
    pub lines: Vec<Line>,
    /// Times of the first and the last row; `None` if there are no rows.
    pub times: Option<(Time, Time)>,
}

impl Hub {
    /// Returns the lines of a chart.
    pub async fn chart(&self, scope: &Scope, request: &ChartRequest) -> Result<Lines> {
        let (scope, request) = (scope.clone(), request.clone());
        let tenant = scope.tenant();
        let reads = async move { read(&scope, &request).await };
        self.charts.run(tenant, reads).await
    }
}

async fn read(scope: &Scope, request: &ChartRequest) -> Result<Lines> {
    let matching = &request.matching;
    let extent = read_extent(scope, matching, request.columns.len(), SORTED_MAX).await?;
    let mut lines: BTreeMap<(Option<String>, usize), Vec<Point>> = BTreeMap::new();
    for (column, path) in request.columns.iter().enumerate() {
        let by_device = request.by_device;
        let found =
            numbers::values(scope, matching, matching.span, path, by_device, SORTED_MAX).await?;
        let drawn = found
            .into_iter()
            .filter(|number| number.value.abs() < DRAWN_MAX);
        for number in drawn {
            let line = lines.entry((number.device, column)).or_default();
            line.push((number.time.timestamp_micros(), number.value));
        }
        if lines.len() > LINES_MAX {
            return Err(Error::field(
                "device_id",
                format!(
                    "the chart would have more than {LINES_MAX} lines (devices by columns); choose fewer devices or \
                     fewer columns"
                ),
            ));
        }
    }
    let lines = lines.into_iter().map(|((device, column), points)| {
        let all = points.len().max(1);
        let segments = segments(points).into_iter();
        let reduced = segments.map(|segment| {
            let share = request.points_max * segment.len() / all;
            reduce(segment, share)
        });
        Line {
            device,
            column,
            segments: reduced.collect(),
        }
    });
    Ok(Lines {
        lines: lines.collect(),
        times: extent.times,
    })
}
