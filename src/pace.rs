//! Sizes chunks of background work so that others wait little for each of them.
//!
//! SQLite has one writer: a transaction blocks all others until it commits. A fixed number of rows takes a
//! millisecond on one machine and a tenth of a second on another, so the number follows the time that the
//! last chunk took.

use std::time::Duration;

/// Minimum size of a chunk of deletions.
const DELETED_MIN: u64 = 64;

/// Size of the next chunk, in whatever unit the work is counted.
pub struct Pace {
    size: u64,
    min: u64,
    max: u64,
}

impl Pace {
    /// Begins with chunks of size 1. No chunk is larger than `max`.
    pub const fn new(max: u64) -> Self {
        Self {
            size: 1,
            min: 1,
            max,
        }
    }

    /// Returns the pace of deletions of rows, or of pages of a file. However slow the machine is, a chunk has
    /// at least `DELETED_MIN`: much of the time of a small one does not depend on its size, and would keep it from growing.
    pub const fn of_deletions(max: u64) -> Self {
        Self {
            size: DELETED_MIN,
            min: DELETED_MIN,
            max,
        }
    }

    /// Size of the next chunk.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adapts the next size to the time for which the last chunk blocked others, so that none takes much longer than
    /// `aim`.
    pub fn note(&mut self, held: Duration, aim: Duration) {
        if held > aim {
            self.size = (self.size / 2).max(self.min);
        } else if held < aim / 3 {
            self.size = (self.size * 2).min(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AIM: Duration = Duration::from_millis(15);

    /// The greatest time that a piece takes, once the pace has settled, where one unit takes so long.
    fn settled(unit: Duration) -> (u64, Duration) {
        let mut pace = Pace::new(512);
        let mut longest = Duration::ZERO;
        for piece in 0..100 {
            let held = unit * u32::try_from(pace.size()).unwrap();
            if piece > 20 {
                longest = longest.max(held);
            }
            pace.note(held, AIM);
        }
        (pace.size(), longest)
    }

    #[test]
    fn pieces_are_as_large_as_the_machine_is_fast() {
        for micros in [1, 10, 100, 1_000, 10_000] {
            let (size, longest) = settled(Duration::from_micros(micros));
            assert!(longest <= AIM, "{micros} µs each: {longest:?}");
            assert!(
                size == 512 || longest >= AIM / 3,
                "{micros} µs each: {size}"
            );
        }
    }

    #[test]
    fn the_smallest_piece_is_one() {
        assert_eq!(settled(Duration::from_secs(1)).0, 1);
    }

    #[test]
    fn a_piece_with_a_high_fixed_part_has_the_least_size() {
        let mut pace = Pace::of_deletions(512);
        for _ in 0..100 {
            assert_eq!(pace.size(), DELETED_MIN);
            pace.note(AIM * 2, AIM);
        }
    }
}
