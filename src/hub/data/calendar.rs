//! Buckets in the calendar of a time zone.
//!
//! Minutes and hours up to one are of the same length everywhere, so the hour that a clock repeats in autumn is two
//! buckets. Longer buckets begin at a time of the clock: a day has 23 or 25 hours when the clock changes, and six
//! hours may have five or seven.
//!
//! Databases group by base buckets of UTC, each of which lies within one bucket of the calendar. So this file is the
//! only one that knows time zones, and both databases give the same answer.

use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, Months, NaiveDate, NaiveDateTime, Offset, TimeDelta,
    TimeZone, Timelike,
};
use chrono_tz::Tz;

use super::interval::{Interval, Unit};
use crate::clock::Time;

/// Lengths of base buckets in seconds, longest first.
const BASES: [i64; 6] = [86_400, 3600, 1800, 900, 60, 1];
/// Distance at which the offset of a zone is looked at; clocks do not change to and fro within it.
const STEP_S: i64 = 7 * 86_400;
/// Length of an hour in seconds.
const HOUR_S: i64 = 3600;

/// Buckets of one length in one time zone.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    interval: Interval,
    zone: Tz,
}

impl Calendar {
    /// Divides the time of a zone into buckets.
    pub fn new(interval: Interval, zone: Tz) -> Self {
        Self { interval, zone }
    }

    /// Returns the start of the bucket that contains a time.
    pub fn start(&self, time: Time) -> Time {
        match self.fixed_s() {
            Some(length_s) => {
                let offset_s = self.offset_s(time.timestamp());
                let local_s = time.timestamp() + offset_s;
                let start_s = local_s.div_euclid(length_s) * length_s - offset_s;
                // The clock has changed within the hour: the bucket begins at the change.
                let changed_s = self.change_s(start_s, time.timestamp());
                at(changed_s.unwrap_or(start_s))
            }
            None => {
                let local = self.zone.from_utc_datetime(&time.naive_utc()).naive_local();
                self.resolve(self.label(local))
            }
        }
    }

    /// Returns the start of the bucket after the one that begins at `start`.
    pub fn next(&self, start: Time) -> Time {
        match self.fixed_s() {
            Some(length_s) => {
                let start_s = start.timestamp();
                let offset_s = self.offset_s(start_s);
                let local_s = start_s + offset_s;
                let next_s = (local_s.div_euclid(length_s) + 1) * length_s - offset_s;
                at(self.change_s(start_s, next_s).unwrap_or(next_s))
            }
            None => {
                let local = self.zone.from_utc_datetime(&start.naive_utc());
                let mut label = self.label(local.naive_local());
                // A day that a zone has left out begins where the next one does.
                loop {
                    label = self.label_after(label);
                    let next = self.resolve(label);
                    if next > start {
                        return next;
                    }
                }
            }
        }
    }

    /// Returns the length of the base buckets in seconds for a period: each lies within one bucket.
    pub fn base_s(&self, from: Time, to: Time) -> i64 {
        let (from_s, to_s) = (from.timestamp() - 1, to.timestamp() + 1);
        let mut marks = vec![self.offset_s(from_s)];
        if let Some(length_s) = self.fixed_s() {
            marks.push(length_s);
        } else if self.interval.unit == Unit::Hour {
            marks.push(HOUR_S);
        }
        let mut before_s = from_s;
        while before_s < to_s {
            let after_s = (before_s + STEP_S).min(to_s);
            if let Some(change_s) = self.change_s(before_s, after_s) {
                marks.extend([change_s, self.offset_s(after_s)]);
            }
            before_s = after_s;
        }
        let fits = |base_s: &i64| marks.iter().all(|mark| mark % base_s == 0);
        BASES.into_iter().find(fits).unwrap_or(1)
    }

    /// Returns the length of buckets that are equally long everywhere.
    fn fixed_s(&self) -> Option<i64> {
        match self.interval {
            Interval {
                count,
                unit: Unit::Minute,
            } => Some(i64::from(count) * 60),
            Interval {
                count: 1,
                unit: Unit::Hour,
            } => Some(HOUR_S),
            _ => None,
        }
    }

    /// Returns the time of the clock at which the bucket begins that contains this time of the clock.
    fn label(&self, local: NaiveDateTime) -> NaiveDateTime {
        let count = i64::from(self.interval.count);
        let date = local.date();
        let date = match self.interval.unit {
            Unit::Minute | Unit::Hour => {
                let hours = self.interval.count;
                let hour = local.hour() / hours * hours;
                return date.and_hms_opt(hour, 0, 0).unwrap_or(local);
            }
            // 1970-01-05 was a Monday.
            Unit::Week => floored(date, 4, count * 7),
            Unit::Day => floored(date, 0, count),
            Unit::Month => {
                let month = i64::from(date.year() - 1) * 12 + i64::from(date.month0());
                let month = month.div_euclid(count) * count;
                let year = i32::try_from(month.div_euclid(12) + 1).unwrap_or(1);
                let month = u32::try_from(month.rem_euclid(12)).unwrap_or(0);
                NaiveDate::from_ymd_opt(year, month + 1, 1).unwrap_or(date)
            }
        };
        date.and_time(chrono::NaiveTime::MIN)
    }

    fn label_after(&self, label: NaiveDateTime) -> NaiveDateTime {
        let count = self.interval.count;
        let after = match self.interval.unit {
            Unit::Minute => label.checked_add_signed(TimeDelta::minutes(count.into())),
            Unit::Hour => label.checked_add_signed(TimeDelta::hours(count.into())),
            Unit::Day => label.checked_add_days(Days::new(count.into())),
            Unit::Week => label.checked_add_days(Days::new(u64::from(count) * 7)),
            Unit::Month => label.checked_add_months(Months::new(count)),
        };
        after.unwrap_or(NaiveDateTime::MAX)
    }

    /// Returns the first moment at which the clock shows this time or a later one.
    fn resolve(&self, label: NaiveDateTime) -> Time {
        match self.zone.from_local_datetime(&label) {
            MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => time.to_utc(),
            MappedLocalTime::None => {
                let near_s = label.and_utc().timestamp();
                let change_s = self.change_s(near_s - 2 * 86_400, near_s + 2 * 86_400);
                at(change_s.unwrap_or(near_s))
            }
        }
    }

    /// Returns the seconds by which the clock is ahead of UTC.
    fn offset_s(&self, time_s: i64) -> i64 {
        let utc = at(time_s).naive_utc();
        let offset = self.zone.offset_from_utc_datetime(&utc);
        offset.fix().local_minus_utc().into()
    }

    /// Returns the moment after `before_s`, up to `after_s`, at which the clock changes.
    fn change_s(&self, before_s: i64, after_s: i64) -> Option<i64> {
        let old = self.offset_s(before_s);
        if old == self.offset_s(after_s) {
            return None;
        }
        let (mut before_s, mut after_s) = (before_s, after_s);
        while after_s - before_s > 1 {
            let middle_s = before_s + (after_s - before_s) / 2;
            match self.offset_s(middle_s) == old {
                true => before_s = middle_s,
                false => after_s = middle_s,
            }
        }
        Some(after_s)
    }
}

/// Returns the first day of the stretch of `length` days that contains `date`. Some stretch begins so many days
/// after 1970-01-01.
fn floored(date: NaiveDate, phase: i64, length: i64) -> NaiveDate {
    let day = date.signed_duration_since(NaiveDate::default()).num_days() - phase;
    let start = TimeDelta::days(-day.rem_euclid(length));
    date.checked_add_signed(start).unwrap_or(date)
}

/// Parses the name of a time zone.
pub fn parse_zone(name: &str) -> Option<Tz> {
    name.parse().ok()
}

/// Returns the moment so many seconds after 1970.
pub fn at(seconds: i64) -> Time {
    let bound = |seconds: i64| DateTime::from_timestamp(seconds, 0);
    bound(seconds).unwrap_or(match seconds < 0 {
        true => DateTime::<chrono::Utc>::MIN_UTC,
        false => DateTime::<chrono::Utc>::MAX_UTC,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn calendar(interval: &str, zone: &str) -> Calendar {
        Calendar::new(Interval::parse(interval).unwrap(), zone.parse().unwrap())
    }

    fn time(text: &str) -> Time {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    /// Starts of the buckets from a moment to another.
    fn starts(interval: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
        let calendar = calendar(interval, zone);
        let mut start = calendar.start(time(from));
        let mut found = Vec::new();
        while start < time(to) {
            let local = start.with_timezone(&calendar.zone);
            found.push(local.format("%d %H:%M %z").to_string());
            start = calendar.next(start);
        }
        found
    }

    #[test]
    fn days_have_23_and_25_hours() {
        let day = calendar("1d", "Europe/Berlin");
        for (date, hours) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-29", 24)] {
            let start = day.start(time(&format!("{date}T12:00:00Z")));
            assert_eq!((day.next(start) - start).num_hours(), hours, "{date}");
        }
    }

    #[test]
    fn an_hour_that_the_clock_repeats_is_two_buckets_and_one_that_it_leaves_out_is_none() {
        let zone = "Europe/Berlin";
        let autumn = starts("1h", zone, "2026-10-24T23:00:00Z", "2026-10-25T02:00:00Z");
        assert_eq!(
            autumn,
            ["25 01:00 +0200", "25 02:00 +0200", "25 02:00 +0100"]
        );
        let spring = starts("30m", zone, "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z");
        assert_eq!(spring, ["29 01:30 +0100", "29 03:00 +0200"]);
        let longer = starts("6h", zone, "2026-10-24T22:00:00Z", "2026-10-25T11:00:00Z");
        assert_eq!(longer, ["25 00:00 +0200", "25 06:00 +0100"]);
        // The clock of this island changes by half an hour.
        let odd = starts(
            "1h",
            "Australia/Lord_Howe",
            "2026-04-04T14:00:00Z",
            "2026-04-04T16:00:00Z",
        );
        assert_eq!(odd, ["05 01:00 +1100", "05 01:30 +1030", "05 02:00 +1030"]);
    }

    #[test]
    fn days_begin_where_midnight_is_left_out_and_a_day_may_be_left_out() {
        let beirut = starts(
            "1d",
            "Asia/Beirut",
            "2021-03-27T12:00:00Z",
            "2021-03-29T12:00:00Z",
        );
        assert_eq!(
            beirut,
            ["27 00:00 +0200", "28 01:00 +0300", "29 00:00 +0300"]
        );
        let samoa = starts(
            "1d",
            "Pacific/Apia",
            "2011-12-29T12:00:00Z",
            "2011-12-31T20:00:00Z",
        );
        assert_eq!(
            samoa,
            ["29 00:00 -1000", "31 00:00 +1400", "01 00:00 +1400"]
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let week = starts("1w", "UTC", "2026-11-29T12:00:00Z", "2026-12-08T00:00:00Z");
        assert_eq!(week, ["23 00:00 +0000", "30 00:00 +0000", "07 00:00 +0000"]);
        let quarter = calendar("3mo", "Asia/Kolkata");
        let start = quarter.start(time("2026-11-29T12:00:00Z"));
        assert_eq!(start, time("2026-09-30T18:30:00Z"));
        assert_eq!(quarter.next(start), time("2026-12-31T18:30:00Z"));
    }

    #[test]
    fn the_base_divides_the_offsets_and_the_changes_of_the_clock() {
        let base = |interval: &str, zone: &str| {
            let (from, to) = (time("2026-01-01T00:00:00Z"), time("2027-01-01T00:00:00Z"));
            calendar(interval, zone).base_s(from, to)
        };
        assert_eq!(base("1d", "UTC"), 86_400);
        assert_eq!(base("1mo", "Europe/Berlin"), 3600);
        assert_eq!(base("6h", "UTC"), 3600);
        assert_eq!(base("1h", "Asia/Kolkata"), 1800);
        assert_eq!(base("1d", "Asia/Kathmandu"), 900);
        assert_eq!(base("15m", "UTC"), 900);
        assert_eq!(base("10m", "Europe/Berlin"), 60);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn each_moment_lies_in_its_bucket_and_each_base_bucket_in_one(
            seconds in 0_i64..2_500_000_000,
            zone in 0..chrono_tz::TZ_VARIANTS.len(),
            interval in prop::sample::select(vec!["1m", "15m", "1h", "2h", "12h", "1d", "3d", "1w", "1mo", "12mo"]),
        ) {
            let calendar = Calendar::new(Interval::parse(interval).unwrap(), chrono_tz::TZ_VARIANTS[zone]);
            let moment = at(seconds);
            let start = calendar.start(moment);
            prop_assert!(start <= moment, "{} {:?}", start, calendar);
            prop_assert_eq!(calendar.start(start), start, "{:?}", calendar);
            let next = calendar.next(start);
            prop_assert!(moment < next, "{} {:?}", next, calendar);
            prop_assert_eq!(calendar.start(next), next, "{:?}", calendar);
            let base_s = calendar.base_s(moment, moment);
            let base = at(seconds.div_euclid(base_s) * base_s);
            prop_assert_eq!(calendar.start(base), start, "{:?}", calendar);
        }
    }
}
