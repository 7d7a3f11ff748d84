//! The time of the database, as the handle reads it.

use std::time::Instant;

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::{handle::Store, scope::Scope, shared_clock::Moment};
use crate::{
    clock::{self, Time},
    error::{Error, Result},
};

impl Store {
    /// The time that all hubs on the database go by.
    pub fn now(&self) -> Time {
        self.inner.clock.now()
    }

    /// This moment, by the clock that all hubs on the database go by.
    pub(in crate::store) fn moment(&self) -> Moment {
        self.inner.clock.moment()
    }

    /// Reads the time; answers by how much it was set since it was last read.
    pub(in crate::store) async fn read_time(&self) -> Result<Option<TimeDelta>> {
        let asked = Instant::now();
        if !self.is_shared() {
            return Ok(self.inner.clock.set(clock::now(), asked));
        }
        let statement = Statement::from_string(DbBackend::Postgres, "SELECT clock_timestamp()");
        let row = self.inner.reader.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| Error::internal("the database tells no time"))?;
        let time = row.try_get_by_index(0)?;
        // In the middle between question and answer, as far as anybody knows.
        Ok(self.inner.clock.set(time, asked + asked.elapsed() / 2))
    }
}

impl Scope {
    /// The time that all hubs on the database go by.
    pub fn now(&self) -> Time {
        self.store.now()
    }
}
