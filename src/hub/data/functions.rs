//! Functions of an aggregation.

/// Function that makes one number of the numbers of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Avg,
    Min,
    Max,
    Sum,
    Count,
    First,
    Last,
    Stddev,
    /// Value below which this many percent of the numbers are.
    Percentile(u8),
}

impl Function {
    /// All functions by name.
    pub const ALL: [(&'static str, Self); 17] = [
        ("avg", Self::Avg),
        ("min", Self::Min),
        ("max", Self::Max),
        ("sum", Self::Sum),
        ("count", Self::Count),
        ("first", Self::First),
        ("last", Self::Last),
        ("stddev", Self::Stddev),
        ("p1", Self::Percentile(1)),
        ("p5", Self::Percentile(5)),
        ("p10", Self::Percentile(10)),
        ("p25", Self::Percentile(25)),
        ("p50", Self::Percentile(50)),
        ("p75", Self::Percentile(75)),
        ("p90", Self::Percentile(90)),
        ("p95", Self::Percentile(95)),
        ("p99", Self::Percentile(99)),
    ];

    /// Parses names that are separated by commas; repeated names count once.
    pub fn parse_list(text: &str) -> Option<Vec<Self>> {
        let mut found = Vec::new();
        for name in text.split(',') {
            let (_, function) = Self::ALL.into_iter().find(|(known, _)| *known == name)?;
            if !found.contains(&function) {
                found.push(function);
            }
        }
        Some(found)
    }

    /// True if the function needs all numbers at once.
    pub fn needs_values(self) -> bool {
        matches!(self, Self::Percentile(_))
    }

    /// True if the function depends on the order of the numbers.
    pub fn needs_order(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }
}
