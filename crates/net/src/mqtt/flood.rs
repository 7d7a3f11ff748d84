//! A rate limit for the packets of a broker: one that sends without pause, whatever the type of packet,
//! would occupy a whole processor.

use std::time::Duration;

use tokio::time::Instant;

/// Maximum number of packets per second. Messages that are recorded are far slower, because each waits for
/// the database.
const PACKETS_MAX: u32 = 20_000;
const SECOND: Duration = Duration::from_secs(1);

/// Counts the packets of a broker.
pub struct Flood {
    since: Instant,
    packets: u32,
}

impl Flood {
    /// Starts at zero.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            packets: 0,
        }
    }

    /// Counts a packet; fails with an error for a person if the limit is exceeded.
    pub fn count(&mut self, now: Instant) -> Result<(), String> {
        if now >= self.since + SECOND {
            *self = Self::new(now);
        }
        self.packets += 1;
        match self.packets > PACKETS_MAX {
            true => Err(format!(
                "the broker sends more than {PACKETS_MAX} packets a second"
            )),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_may_be_come_in_each_second() {
        let now = Instant::now();
        let mut flood = Flood::new(now);
        for second in 0..3 {
            let now = now + SECOND * second;
            for _ in 0..PACKETS_MAX {
                flood.count(now).unwrap();
            }
        }
        let error = flood.count(now + SECOND * 2).unwrap_err();
        assert!(error.contains("20000 packets a second"), "{error}");
    }
}
