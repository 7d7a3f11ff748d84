//! Data tables: columns must be unique, and rows are deleted in chunks.

pub mod aggregate;
mod aggregation;
pub mod calendar;
pub mod chart;
pub mod charts;
pub mod exports;
mod fills;
pub mod fold;
pub mod functions;
mod groups;
pub mod imports;
pub mod interval;
pub mod latest;
mod plan;
mod reduce;

use std::{collections::HashSet, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    error::{Error, Result},
    id::DataTableId,
    pace::Pace,
    store::{
        Scope,
        data::{self, RowFilter},
    },
};

/// Maximum time for which one request deletes rows; less than the timeout of a request.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Maximum number of rows in a chunk.
const ROWS_MAX: u64 = 1000;

/// Result of deleting rows.
pub struct Deleted {
    /// Number of deleted rows.
    pub rows: u64,
    /// True if no matching rows are left.
    pub is_complete: bool,
}

/// Deletes the rows that match, in chunks, until none is left or the time is over.
pub async fn delete_rows(scope: &Scope, id: DataTableId, filter: &RowFilter) -> Result<Deleted> {
    let began = Instant::now();
    let mut pace = Pace::of_deletions(ROWS_MAX);
    let mut rows = 0;
    loop {
        let (is_first, step) = (rows == 0, Instant::now());
        let cleared = data::delete_rows(scope, id, filter, pace.size(), is_first).await?;
        rows += cleared.rows;
        pace.note(cleared.held, scope.clearing_aim());
        if !cleared.is_more || began.elapsed() > TIME_MAX {
            return Ok(Deleted {
                rows,
                is_complete: !cleared.is_more,
            });
        }
        sleep(scope.pause_after(step.elapsed())).await;
    }
}

/// Rejects duplicate columns.
pub fn check_columns<'a>(paths: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashSet::new();
    for (index, path) in paths.enumerate() {
        if !seen.insert(path) {
            return Err(Error::field(
                &format!("columns[{index}].path"),
                "must be unique among the columns",
            ));
        }
    }
    Ok(())
}
