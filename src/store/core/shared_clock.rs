//! Time that all hubs on a database share: it decides when deliveries and downlinks are due and when claims expire.
//!
//! The clocks of hubs differ and can be set. Therefore the time is read from the shared database and advanced
//! between two readings by the monotonic clock. A file has one hub, whose wall clock is used. If the time is set
//! back, due times are moved back by the same amount; otherwise, waiting work would be delayed by it.

use std::{
    collections::VecDeque,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use chrono::TimeDelta;

use crate::clock::{self, Time};

/// Maximum difference between readings of a clock that was not set.
pub(in crate::store) const DRIFT_MAX: TimeDelta = TimeDelta::seconds(2);

/// Maximum number of clock steps remembered; the oldest are dropped.
const STEPS_MAX: usize = 16;

/// Shared time, advanced from its last reading.
pub struct SharedClock(RwLock<State>);

struct State {
    reading: Reading,
    /// Clock steps and when they were noticed, oldest first.
    steps: VecDeque<(Instant, TimeDelta)>,
}

/// Moment: the current time, and what it would be without the recent clock steps.
#[derive(Debug, Clone)]
pub struct Moment {
    time: Time,
    /// Time without the last step, without the last two, and so on, each with the instant when the step was noticed.
    unset: Vec<(Instant, Time)>,
}

impl From<Time> for Moment {
    /// Returns a moment of a clock that was never set.
    fn from(time: Time) -> Self {
        Self {
            time,
            unset: Vec::new(),
        }
    }
}

impl Default for Moment {
    fn default() -> Self {
        clock::now().into()
    }
}

impl Moment {
    /// Returns the current time.
    pub fn time(&self) -> Time {
        self.time
    }

    /// Returns the earliest time that it would be without the steps noticed within `window`.
    pub fn earliest(&self, window: Duration) -> Time {
        let lately = |(noticed, _): &&(Instant, Time)| noticed.elapsed() <= window;
        let unset = self.unset.iter().take_while(lately);
        unset.fold(self.time, |earliest, (_, time)| earliest.min(*time))
    }

    /// True if `at` lies within `window` of this moment, by the current time or by the time before a recent step.
    pub fn is_within(&self, window: Duration, at: Time) -> bool {
        let window_s = TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
        let is_near = |time: Time| (time - at).abs() <= window_s;
        let lately = |noticed: &Instant| noticed.elapsed() <= window;
        let mut unset = self.unset.iter().take_while(|(noticed, _)| lately(noticed));
        is_near(self.time) || unset.any(|(_, time)| is_near(*time))
    }
}

#[derive(Clone, Copy)]
struct Reading {
    time: Time,
    at: Instant,
}

impl Reading {
    fn time_at(self, at: Instant) -> Time {
        let since = at.saturating_duration_since(self.at);
        clock::cut(self.time + since)
    }
}

impl State {
    fn remember(&mut self, at: Instant, step: TimeDelta) {
        if self.steps.len() >= STEPS_MAX {
            self.steps.pop_front();
        }
        self.steps.push_back((at, step));
    }
}

impl Default for SharedClock {
    /// Starts with the hub's own clock until the time is read.
    fn default() -> Self {
        Self(RwLock::new(State {
            reading: Reading {
                time: clock::now(),
                at: Instant::now(),
            },
            steps: VecDeque::new(),
        }))
    }
}

impl SharedClock {
    /// Returns the current time.
    pub fn now(&self) -> Time {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        state.reading.time_at(Instant::now())
    }

    /// Returns the current time along with its values before recent clock steps.
    pub fn moment(&self) -> Moment {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let time = state.reading.time_at(Instant::now());
        let unset = state.steps.iter().rev();
        let unset = unset.scan(time, |time, (noticed, step)| {
            *time -= *step;
            Some((*noticed, *time))
        });
        Moment {
            time,
            unset: unset.collect(),
        }
    }

    /// Continues from a reading. Returns the clock step, or `None` if the reading differs by no more than drift.
    pub fn set(&self, time: Time, at: Instant) -> Option<TimeDelta> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let step = time - state.reading.time_at(at);
        state.reading = Reading { time, at };
        if step.abs() <= DRIFT_MAX {
            return None;
        }
        state.remember(at, step);
        Some(step)
    }

    /// Records a clock step that this hub did not observe itself.
    pub(in crate::store) fn remember(&self, at: Instant, step: TimeDelta) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.remember(at, step);
    }

    /// Returns the clock steps and when they were noticed, oldest first.
    pub(in crate::store) fn steps(&self) -> Vec<(Instant, TimeDelta)> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        state.steps.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: TimeDelta = TimeDelta::hours(1);

    #[test]
    fn the_time_goes_on_from_its_reading() {
        let clock = SharedClock::default();
        let at = Instant::now();
        let read = clock::now() + HOUR;
        let step = clock.set(read, at).unwrap();
        assert!((step - HOUR).abs() < TimeDelta::seconds(10), "{step}");
        let (before, now) = (at.elapsed(), clock.now());
        assert!(now >= clock::cut(read + before), "{now}");
        assert!(now <= read + at.elapsed(), "{now}");
    }

    #[test]
    fn a_reading_tells_by_how_much_the_time_was_set() {
        let clock = SharedClock::default();
        let at = Instant::now() + Duration::from_secs(100);
        let time = clock::now();
        clock.set(time, at);
        let later = Duration::from_secs(60);
        assert_eq!(clock.set(time + later, at + later), None);
        let back = -HOUR - TimeDelta::seconds(60);
        assert_eq!(clock.set(time - HOUR, at + later), Some(back));
        // An answer older than the last reading changes nothing.
        assert_eq!(clock.set(time - HOUR, at), None);
    }

    #[test]
    fn a_step_ahead_counts_only_after_a_while() {
        let clock = SharedClock::default();
        let set = |hours| clock.set(clock.now() + HOUR * hours, Instant::now());
        let before = clock.moment().time();
        set(24);
        let ahead = clock.moment();
        assert!(ahead.time() - before > HOUR * 23);
        let earliest = ahead.earliest(Duration::from_secs(60));
        assert!(
            (earliest - before).abs() < TimeDelta::minutes(1),
            "{earliest}"
        );
        assert_eq!(ahead.earliest(Duration::ZERO), ahead.time());
        // A clock that was set back is right at once.
        set(-48);
        let back = clock.moment();
        assert_eq!(back.earliest(Duration::from_secs(60)), back.time());
    }

    #[test]
    fn a_moment_is_near_to_another_whatever_the_clock_was_set_to() {
        let (clock, window) = (SharedClock::default(), Duration::from_secs(30));
        let set = |hours| clock.set(clock.now() + HOUR * hours, Instant::now());
        let before = clock.moment().time();
        set(1);
        let between = clock.moment().time();
        set(-3);
        let now = clock.moment();
        for at in [before, between, now.time()] {
            assert!(now.is_within(window, at), "{at}");
        }
        for hours in [-1, 1, 3] {
            let at = before + HOUR * hours + TimeDelta::minutes(1);
            assert!(!now.is_within(window, at), "{at}");
        }
        assert!(!now.is_within(Duration::ZERO, before), "it was set before");
        for _ in 0..STEPS_MAX {
            set(3);
        }
        assert!(!clock.moment().is_within(window, before), "forgotten");
    }
}
