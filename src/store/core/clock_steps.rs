//! Clock steps of an SQLite file, kept for the next hub that opens it: recent changes of the wall clock, including
//! those made while no hub ran.
//!
//! While no hub runs, the machine's uptime measures the time, because nobody sets it. Hubs that share a database use
//! the database's clock, so nothing is kept there.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use nix::time::{ClockId, clock_gettime};
use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};
use serde::{Deserialize, Serialize};

use super::shared_clock::DRIFT_MAX;
use crate::{
    clock,
    error::{Error, Result},
    store::{
        core::{handle::Store, json::from_column},
        entities::clock_step::{ActiveModel, Column, Entity},
    },
};

/// Id of the table's only row.
const ROW: i64 = 1;
/// File that identifies the boot of the machine (Linux).
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Step of the clock: its time in microseconds of uptime, and its size.
#[derive(Serialize, Deserialize)]
struct Step {
    at_us: i64,
    by_us: i64,
}

/// Uptime of the machine.
struct Uptime {
    boot: String,
    us: i64,
    at: Instant,
}

impl Uptime {
    /// Returns the current uptime; `None` if the system does not provide it.
    fn now() -> Option<Self> {
        let boot = std::fs::read_to_string(BOOT).ok()?;
        let since = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
        Some(Self {
            boot: boot.trim().to_owned(),
            us: i64::try_from(since.as_micros()).ok()?,
            at: Instant::now(),
        })
    }

    /// Returns the wall clock's time at boot, by its current setting.
    fn offset_us(&self) -> i64 {
        clock::now().timestamp_micros() - self.us
    }

    fn us_at(&self, at: Instant) -> i64 {
        let before = self.at.saturating_duration_since(at).as_micros();
        self.us - i64::try_from(before).unwrap_or(i64::MAX)
    }

    fn at_us(&self, us: i64) -> Option<Instant> {
        let before = u64::try_from(self.us.checked_sub(us)?).ok()?;
        self.at.checked_sub(Duration::from_micros(before))
    }
}

impl Store {
    /// Restores the clock steps that earlier hubs kept, and adds the one made since the last hub stopped.
    pub(in crate::store) async fn recall_clock_steps(&self) -> Result<()> {
        let Some(uptime) = Uptime::now().filter(|_| !self.is_shared()) else {
            return Ok(());
        };
        let kept = Entity::find_by_id(ROW).one(&self.inner.writer).await?;
        if let Some(kept) = kept.filter(|kept| kept.boot == uptime.boot) {
            let steps: Vec<Step> = from_column(Column::Steps, kept.steps)?;
            for step in steps {
                if let Some(at) = uptime.at_us(step.at_us) {
                    let by = TimeDelta::microseconds(step.by_us);
                    self.inner.clock.remember(at, by);
                }
            }
            let meanwhile = TimeDelta::microseconds(uptime.offset_us() - kept.offset_us);
            if meanwhile.abs() > DRIFT_MAX {
                self.inner.clock.remember(uptime.at, meanwhile);
            }
        }
        self.keep_clock_steps().await
    }

    /// Stores the known clock steps for the next hub on the file.
    pub(in crate::store) async fn keep_clock_steps(&self) -> Result<()> {
        let Some(uptime) = Uptime::now().filter(|_| !self.is_shared()) else {
            return Ok(());
        };
        let steps: Vec<Step> = self
            .inner
            .clock
            .steps()
            .into_iter()
            .map(|(at, by)| Step {
                at_us: uptime.us_at(at),
                by_us: by.num_microseconds().unwrap_or_default(),
            })
            .collect();
        let row = ActiveModel {
            id: Set(ROW),
            offset_us: Set(uptime.offset_us()),
            boot: Set(uptime.boot),
            steps: Set(serde_json::to_value(steps).map_err(Error::internal)?),
        };
        let replace = OnConflict::column(Column::Id)
            .update_columns([Column::Boot, Column::OffsetUs, Column::Steps])
            .to_owned();
        Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(&self.inner.writer)
            .await?;
        Ok(())
    }
}
