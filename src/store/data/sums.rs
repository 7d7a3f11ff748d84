//! Sums of numbers, which can be added to each other.

use crate::clock::Time;

/// Sums of the numbers in a base bucket.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    /// Number of numbers.
    pub count: u64,
    /// Number of those that are too large to be summed.
    pub huge: u64,
    /// Sum.
    pub sum: f64,
    /// Mean.
    pub mean: f64,
    /// Sum of the squares of the distances from the mean.
    pub squares: f64,
    /// Smallest number.
    pub min: Option<f64>,
    /// Greatest number.
    pub max: Option<f64>,
    /// First number.
    pub first: Option<Edge>,
    /// Last number.
    pub last: Option<Edge>,
}

/// First or last number.
#[derive(Debug, Clone)]
pub struct Edge {
    /// The number.
    pub value: f64,
    /// Time of its row.
    pub time: Time,
    /// Key of its row, which sorts by recording.
    pub key: String,
}

impl Sums {
    /// Adds the sums of other numbers.
    pub fn add(&mut self, other: Self) {
        // The numbers that the moments are of.
        let (a, b) = (self.summed() as f64, other.summed() as f64);
        if b > 0.0 {
            let distance = other.mean - self.mean;
            self.mean += distance * b / (a + b);
            self.squares += other.squares + distance * distance * a * b / (a + b);
        }
        self.count += other.count;
        self.huge += other.huge;
        self.sum += other.sum;
        self.min = least(self.min, other.min, f64::min);
        self.max = least(self.max, other.max, f64::max);
        self.first = earlier(self.first.take(), other.first, false);
        self.last = earlier(self.last.take(), other.last, true);
    }

    /// Returns the number of numbers in `sum`, `mean` and `squares`.
    pub fn summed(&self) -> u64 {
        self.count.saturating_sub(self.huge)
    }
}

fn least(one: Option<f64>, other: Option<f64>, choose: fn(f64, f64) -> f64) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(choose(one, other)),
        (one, other) => one.or(other),
    }
}

/// Returns the earlier of two, or the later one. Of numbers with the same time, the one that was recorded first is
/// the earlier.
fn earlier(one: Option<Edge>, other: Option<Edge>, later: bool) -> Option<Edge> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let is_before = (one.time, &one.key) <= (other.time, &other.key);
            Some(if is_before != later { one } else { other })
        }
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums of a number.
    fn of(value: f64, second: i64, key: &str) -> Sums {
        let edge = Edge {
            value,
            time: Time::from_timestamp(second, 0).unwrap(),
            key: key.to_owned(),
        };
        Sums {
            count: 1,
            huge: 0,
            sum: value,
            mean: value,
            squares: 0.0,
            min: Some(value),
            max: Some(value),
            first: Some(edge.clone()),
            last: Some(edge),
        }
    }

    #[test]
    fn sums_of_parts_are_those_of_the_whole() {
        let mut numbers = vec![
            of(4.0, 20, "b"),
            of(-2.0, 10, "b"),
            of(7.0, 10, "a"),
            of(3.0, 20, "a"),
        ];
        numbers.push(Sums {
            count: 1,
            huge: 1,
            min: Some(1e200),
            max: Some(1e200),
            ..Sums::default()
        });
        for part in 0..=numbers.len() {
            let (mut one, mut other) = (Sums::default(), Sums::default());
            for (index, number) in numbers.iter().enumerate() {
                let sums = if index < part { &mut one } else { &mut other };
                sums.add(number.clone());
            }
            one.add(other);
            assert_eq!((one.count, one.huge, one.summed()), (5, 1, 4));
            let moments = [one.sum, one.mean, one.squares];
            assert_eq!(
                moments.map(|one| (one * 1e9).round() / 1e9),
                [12.0, 3.0, 42.0]
            );
            assert_eq!((one.min, one.max), (Some(-2.0), Some(1e200)));
            let value = |edge: Option<Edge>| edge.unwrap().value;
            assert_eq!((value(one.first), value(one.last)), (7.0, 4.0));
        }
    }
}
