//! Free pages of an SQLite file, which are given back to the file system. PostgreSQL does this by itself.
//!
//! SQLite reuses the pages of deleted rows, and returns them to the file system only on request, and only if the file
//! was created with `auto_vacuum = INCREMENTAL`. A part of the free pages stays for the next rows.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::handle::Store;
use crate::error::Result;

/// Value of `PRAGMA auto_vacuum` for files whose free pages can be returned.
const INCREMENTAL: i64 = 2;
/// The free pages that stay are one part in this many of the file.
const RESERVE_PART: i64 = 16;
/// Minimum number of free pages that stay.
const RESERVE_MIN: i64 = 256;

/// Result of returning free pages.
pub struct Freed {
    /// Number of bytes returned.
    pub bytes: u64,
    /// True if more can be returned.
    pub is_more: bool,
    /// Duration for which other writers waited.
    pub held: Duration,
}

impl Store {
    /// Returns free pages of an SQLite file to the file system, at most `pages` in one transaction. `begins` is true
    /// for the first of several calls: returning few pages is not worth the writing.
    pub async fn free_space(&self, pages: u64, begins: bool) -> Result<Freed> {
        let none = Freed {
            bytes: 0,
            is_more: false,
            held: Duration::ZERO,
        };
        if self.is_shared() || self.pragma("auto_vacuum").await? != INCREMENTAL {
            return Ok(none);
        }
        let free = self.pragma("freelist_count").await?;
        let reserve = RESERVE_MIN.max(self.pragma("page_count").await? / RESERVE_PART);
        let enough = if begins { 2 * reserve } else { reserve };
        let pages = i64::try_from(pages).unwrap_or(i64::MAX).min(free - reserve);
        if free <= enough || pages <= 0 {
            return Ok(none);
        }
        let size = self.pragma("page_size").await?;
        let transaction = self.begin([]).await?;
        let begun = Instant::now();
        let freed = transaction
            .execute_unprepared(&format!("PRAGMA incremental_vacuum({pages})"))
            .await;
        let held = begun.elapsed();
        transaction.finish(freed).await?;
        Ok(Freed {
            bytes: u64::try_from(pages * size).unwrap_or_default(),
            is_more: free - pages > reserve,
            held,
        })
    }

    /// Returns the number that a pragma has.
    async fn pragma(&self, name: &str) -> Result<i64, DbErr> {
        let writer = &self.inner.writer;
        let asked = Statement::from_string(writer.get_database_backend(), format!("PRAGMA {name}"));
        let row = writer.query_one_raw(asked).await?;
        row.map_or(Ok(0), |row| row.try_get_by_index(0))
    }
}
