//! Reading of the shared time from the database.

use std::time::Instant;

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::{handle::Store, scope::Scope, shared_clock::Moment};
use crate::{
    clock::{self, Time},
    error::{Error, Result},
};

impl Store {
    /// Returns the time that all hubs on the database share.
    pub fn now(&self) -> Time {
        self.inner.clock.now()
    }

    /// Returns the current moment of the clock that all hubs on the database share.
    pub(in crate::store) fn moment(&self) -> Moment {
        self.inner.clock.moment()
    }

    /// Reads the time from the database; returns the clock step since the last reading, if any.
    pub(in crate::store) async fn read_time(&self) -> Result<Option<TimeDelta>> {
        let asked = Instant::now();
        if !self.is_shared() {
            return Ok(self.inner.clock.set(clock::now(), asked));
        }
        let statement = Statement::from_string(DbBackend::Postgres, "SELECT clock_timestamp()");
        let row = self.inner.reader.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| Error::internal("the database tells no time"))?;
        let time = row.try_get_by_index(0)?;
        // The best estimate is the middle between the request and the answer.
        Ok(self.inner.clock.set(time, asked + asked.elapsed() / 2))
    }
}

impl Scope {
    /// Returns the time that all hubs on the database share.
    pub fn now(&self) -> Time {
        self.store.now()
    }
}
