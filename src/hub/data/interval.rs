//! Lengths of the buckets into which an aggregation divides time.

use std::fmt;

/// Length of a bucket: a number of minutes, hours, days, weeks or months of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Number of units.
    pub count: u32,
    /// Unit.
    pub unit: Unit,
}

/// Unit of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Interval {
    /// Rule of the text, for an error.
    pub const RULE: &'static str = "must be a number of minutes that divides an hour (15m), of hours that divides a day \
        (6h), of days from 1d to 99d, of weeks from 1w to 52w, or of months that divides a year (1mo, 3mo, 12mo)";
    /// Rule of the text, as a regular expression.
    pub const PATTERN: &'static str = "^(([1-6]|1[025]|20|30)m|([1-46]|8|12)h|[1-9][0-9]?d|([1-9]|[1-4][0-9]|5[0-2])w|([1-46]|12)mo)$";

    /// The intervals among which a number of buckets chooses, ascending.
    const LADDER: [Self; 20] = [
        Self::of(1, Unit::Minute),
        Self::of(2, Unit::Minute),
        Self::of(5, Unit::Minute),
        Self::of(10, Unit::Minute),
        Self::of(15, Unit::Minute),
        Self::of(30, Unit::Minute),
        Self::of(1, Unit::Hour),
        Self::of(2, Unit::Hour),
        Self::of(3, Unit::Hour),
        Self::of(6, Unit::Hour),
        Self::of(12, Unit::Hour),
        Self::of(1, Unit::Day),
        Self::of(2, Unit::Day),
        Self::of(1, Unit::Week),
        Self::of(1, Unit::Month),
        Self::of(3, Unit::Month),
        Self::of(12, Unit::Month),
        Self::of(120, Unit::Month),
        Self::of(1200, Unit::Month),
        Self::of(12_000, Unit::Month),
    ];

    const fn of(count: u32, unit: Unit) -> Self {
        Self { count, unit }
    }

    /// Parses the text of an interval, such as `15m`, `1d` or `1mo`; `None` if it breaks the rule.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        if count.starts_with('0') {
            return None;
        }
        let count: u32 = count.parse().ok()?;
        let (unit, is_good) = match unit {
            "m" => (Unit::Minute, count <= 30 && 60 % count == 0),
            "h" => (Unit::Hour, count <= 12 && 24 % count == 0),
            "d" => (Unit::Day, count <= 99),
            "w" => (Unit::Week, count <= 52),
            "mo" => (Unit::Month, 12 % count == 0),
            _ => return None,
        };
        is_good.then_some(Self { count, unit })
    }

    /// Returns the shortest interval, but none shorter than `least`, that divides a period of so many seconds into
    /// at most `buckets_max` buckets, wherever the period begins.
    pub fn for_buckets(least: Option<Self>, period_s: i64, buckets_max: usize) -> Self {
        let buckets_max = i64::try_from(buckets_max).unwrap_or(i64::MAX);
        let fits = |interval: &Self| period_s / interval.shortest_s() + 2 <= buckets_max;
        if let Some(least) = least.filter(fits) {
            return least;
        }
        let floor_s = least.map_or(0, |least| least.shortest_s());
        let [.., longest] = Self::LADDER;
        let mut ladder = Self::LADDER.into_iter();
        let fitting = ladder.find(|one| one.shortest_s() >= floor_s && fits(one));
        fitting.unwrap_or(longest)
    }

    /// Returns the length of the shortest bucket in seconds, without days that lose an hour.
    fn shortest_s(&self) -> i64 {
        let unit_s = match self.unit {
            Unit::Minute => 60,
            Unit::Hour => 3600,
            Unit::Day => 86_400,
            Unit::Week => 7 * 86_400,
            Unit::Month if self.count.is_multiple_of(12) => 365 * 86_400 / 12,
            Unit::Month => 28 * 86_400,
        };
        i64::from(self.count) * unit_s
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Minute => "m",
            Unit::Hour => "h",
            Unit::Day => "d",
            Unit::Week => "w",
            Unit::Month => "mo",
        };
        write!(f, "{}{unit}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn the_pattern_and_the_parser_agree() {
        let pattern = Regex::new(Interval::PATTERN).unwrap();
        for unit in ["m", "h", "d", "w", "mo", "y", "s", "", "M"] {
            for count in 0..=400 {
                for text in [format!("{count}{unit}"), format!("0{count}{unit}")] {
                    let parsed = Interval::parse(&text);
                    assert_eq!(pattern.is_match(&text), parsed.is_some(), "{text}");
                    if let Some(interval) = parsed {
                        assert_eq!(interval.to_string(), text);
                    }
                }
            }
        }
        for text in ["m", "-1m", "1 m", "99999999999d", "1.5h", "١h"] {
            assert_eq!(Interval::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_of_buckets_chooses_the_shortest_interval_that_fits() {
        let day = 86_400;
        let choose = |least: Option<&str>, period_s, buckets| {
            let least = least.and_then(Interval::parse);
            Interval::for_buckets(least, period_s, buckets).to_string()
        };
        assert_eq!(choose(None, day, 1500), "1m");
        assert_eq!(choose(None, day, 500), "5m");
        assert_eq!(choose(None, 30 * day, 800), "1h");
        assert_eq!(choose(None, 365 * day, 100), "1w");
        assert_eq!(choose(Some("15m"), day, 500), "15m");
        assert_eq!(choose(Some("7d"), 365 * day, 30), "1mo");
        // All that a database can hold.
        assert_eq!(choose(None, 9999 * 365 * day, 12), "12000mo");
    }
}
