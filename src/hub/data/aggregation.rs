//! Request of an aggregation, and the buckets of its answer.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::{fold::Figures, functions::Function, interval::Interval};
use crate::{
    clock::Time,
    error::{Error, Result},
    store::data::{number::NumberPath, numbers::Matching},
};

/// Maximum number of items (buckets by groups by columns) in an answer.
const ITEMS_MAX: usize = 10_000;

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

/// Figures by bucket, group and column.
pub(super) type Buckets = BTreeMap<(Time, Option<String>, usize), Figures>;

/// Returns the figures of a bucket, which are new if it had none; fails if the answer would have too many items.
pub(super) fn entry(
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
