//! The time that all hubs on a database go by: when deliveries and downlinks are due, and until when
//! what was claimed is somebody's.
//!
//! The clocks of hubs differ, and are set. So the time is read from what the hubs share, their database,
//! and goes on between two readings by the clock that nobody sets. A file has one hub, whose wall clock
//! it is. Where the time itself was set back, what waits for a later one would wait until that comes
//! again: it is due so much earlier.

use std::{
    collections::VecDeque,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use chrono::TimeDelta;

use crate::clock::{self, Time};

/// What readings differ by when nobody has set the clock.
pub(in crate::store) const DRIFT_MAX: TimeDelta = TimeDelta::seconds(2);

/// Steps that are remembered, the last ones.
const STEPS_MAX: usize = 16;

/// The time, as it was last read.
pub struct SharedClock(RwLock<State>);

struct State {
    reading: Reading,
    /// By how much the time was set, and when; the oldest first.
    steps: VecDeque<(Instant, TimeDelta)>,
}

/// A moment: what the clock says now, and what it would say if it had not been set lately.
#[derive(Debug, Clone)]
pub struct Moment {
    time: Time,
    /// The time without the last step, without the last two, and so on; when each step was noticed.
    unset: Vec<(Instant, Time)>,
}

impl From<Time> for Moment {
    /// A moment of a clock that nobody has set.
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
    /// What the clock says.
    pub fn time(&self) -> Time {
        self.time
    }

    /// Whether so little time has passed since the clock said this.
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
    /// The hub's own clock, until the time is read.
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
    /// The time.
    pub fn now(&self) -> Time {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        state.reading.time_at(Instant::now())
    }

    /// The time, with what it would be if it had not been set.
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

    /// Goes on from a reading; answers by how much the time was set, beside what readings differ by.
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

    /// Notes that the time was set, as this hub could not read it.
    pub(in crate::store) fn remember(&self, at: Instant, step: TimeDelta) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.remember(at, step);
    }

    /// By how much the time was set, and when; the oldest first.
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
        // An answer that is older than the last reading.
        assert_eq!(clock.set(time - HOUR, at), None);
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
