//! Numbers of one bucket, put together from those of base buckets.

use super::functions::Function;
use crate::store::data::sums::Sums;

/// Numbers of one bucket.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    sums: Sums,
    /// The numbers themselves, if a function needs them.
    values: Vec<f64>,
}

impl Figures {
    /// Adds the numbers of a base bucket.
    pub fn add(&mut self, base: Sums) {
        self.sums.add(base);
    }

    /// Adds one number for the functions that need them all.
    pub fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Prepares the functions that need the order of the numbers by size.
    pub fn sort(&mut self) {
        self.values.sort_unstable_by(f64::total_cmp);
    }

    /// Returns the result of a function; `None` if the bucket has no number, or none that can be calculated.
    pub fn of(&self, function: Function) -> Option<f64> {
        let sums = &self.sums;
        let is_exact = sums.huge == 0 && sums.count > 0;
        let count = sums.count as f64;
        match function {
            Function::Count => Some(count),
            Function::Avg => is_exact.then(|| sums.sum / count),
            Function::Sum => is_exact.then_some(sums.sum),
            Function::Stddev => {
                (is_exact && sums.count > 1).then(|| (sums.squares.max(0.0) / (count - 1.0)).sqrt())
            }
            Function::Min => sums.min,
            Function::Max => sums.max,
            Function::First => sums.first.as_ref().map(|edge| edge.value),
            Function::Last => sums.last.as_ref().map(|edge| edge.value),
            Function::Percentile(percent) => percentile(&self.values, percent),
        }
    }
}

/// Returns the value at this place of sorted numbers, between two of them in proportion.
fn percentile(sorted: &[f64], percent: u8) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * f64::from(percent) / 100.0;
    let below = place.floor();
    let part = place - below;
    let index = below as usize;
    let low = *sorted.get(index)?;
    let high = *sorted.get(index + 1).unwrap_or(&low);
    // Not low + (high - low) * part, whose difference may exceed the greatest number.
    Some(match part == 0.0 {
        true => low,
        false => low * (1.0 - part) + high * part,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_numbers() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(percentile(&sorted, 50), Some(2.5));
        assert_eq!(percentile(&sorted, 75), Some(3.25));
        assert_eq!(percentile(&[7.0], 95), Some(7.0));
        assert_eq!(percentile(&[], 95), None);
        assert_eq!(percentile(&[-1e308, 1e308], 50), Some(0.0));
    }
}
