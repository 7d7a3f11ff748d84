//! Times of scheduled exports: a cron expression of five fields in a time zone.
//!
//! Where clocks are set forward, a time that does not exist is taken at the first one after it; where they are set back, a
//! fixed time occurs once.

use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::clock::Time;

/// Times of the runs of an export.
pub struct Schedule {
    cron: Cron,
    zone: Tz,
}

/// Member that breaks a rule, and the rule.
pub type Broken = (&'static str, String);

impl Schedule {
    /// Parses a cron expression and the name of a time zone.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, Broken> {
        let zone = zone.parse().map_err(|_| {
            let rule = "must be the name of a time zone, such as Europe/Berlin or UTC";
            ("timezone", rule.to_owned())
        })?;
        let rule = |why: String| {
            let rule = format!("must be a cron expression of five fields: {why}");
            ("schedule", rule)
        };
        if expression.split_whitespace().count() != 5 {
            return Err(rule("minute, hour, day, month and weekday".to_owned()));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(expression);
        let cron = cron.map_err(|error| rule(error.to_string()))?;
        Ok(Self { cron, zone })
    }

    /// Returns the first time after this one; `None` if there is none.
    pub fn next(&self, after: Time) -> Option<Time> {
        let after = after.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(next.to_utc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(expression, zone).unwrap();
        let mut at = after.parse::<Time>().unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            at = schedule.next(at).unwrap();
            found.push(at.format("%d %H:%M").to_string());
        }
        found
    }

    #[test]
    fn a_time_that_clocks_skip_comes_right_after_the_gap() {
        // At 01:00 UTC, clocks in Berlin go from 02:00 to 03:00.
        let found = times("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3);
        assert_eq!(found, ["28 01:30", "29 01:00", "30 00:30"]);
    }

    #[test]
    fn a_time_that_clocks_repeat_comes_once() {
        // At 01:00 UTC, clocks in Berlin go from 03:00 to 02:00.
        let found = times("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3);
        assert_eq!(found, ["24 00:30", "25 00:30", "26 01:30"]);
        // An hour is an hour.
        let found = times("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4);
        assert_eq!(found, ["25 00:00", "25 01:00", "25 02:00", "25 03:00"]);
    }

    #[test]
    fn wrong_expressions_and_zones_are_named() {
        for (expression, zone, member) in [
            ("* * * *", "UTC", "schedule"),
            ("0 * * * * *", "UTC", "schedule"),
            ("@daily", "UTC", "schedule"),
            ("60 * * * *", "UTC", "schedule"),
            ("* * * * mon-", "UTC", "schedule"),
            ("* * * * *", "Berlin", "timezone"),
            ("* * * * *", "", "timezone"),
        ] {
            let broken = Schedule::parse(expression, zone).err();
            let broken = broken.unwrap_or_else(|| panic!("{expression} {zone}"));
            assert_eq!(broken.0, member, "{expression} {zone}");
        }
        let never = Schedule::parse("0 0 30 2 *", "UTC").unwrap();
        assert_eq!(never.next("2026-01-01T00:00:00Z".parse().unwrap()), None);
    }
}
