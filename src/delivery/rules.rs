//! Delivery rules of an integration: its own, with the hub's as defaults.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    config::Config,
    store::{deliveries::give_up::Bounds, integrations::policy::Policy},
};

/// Effective delivery rules.
pub struct Rules {
    pub concurrency: usize,
    pub rate_per_s: Option<u32>,
    pub timeout: Duration,
    pub schedule_s: Vec<u64>,
    pub pause_after: Option<TimeDelta>,
}

impl Rules {
    /// Returns the effective rules for a policy.
    pub fn of(config: &Config, policy: &Policy) -> Self {
        let own = policy
            .concurrency
            .and_then(|count| usize::try_from(count).ok());
        let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX / 1000);
        Self {
            concurrency: own.unwrap_or(config.delivery_concurrency).max(1),
            rate_per_s: policy.rate_per_s,
            timeout: Duration::from_secs(policy.timeout_s.unwrap_or(config.delivery_timeout_s)),
            schedule_s: policy
                .schedule_s
                .clone()
                .unwrap_or_else(|| config.delivery_schedule_s.0.clone()),
            pause_after: policy.pause_after_s.map(seconds).map(TimeDelta::seconds),
        }
    }
}

/// Returns the bounds of an integration's queue.
pub fn bounds(config: &Config) -> Bounds {
    Bounds {
        waiting_max: config.delivery_queue_max,
        wait_max: TimeDelta::hours(i64::from(config.delivery_wait_max_hours)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_rules_take_precedence_and_have_bounds() {
        let config = Config::default();
        let rules = Rules::of(&config, &Policy::default());
        assert_eq!(rules.concurrency, config.delivery_concurrency);
        assert_eq!(rules.timeout.as_secs(), config.delivery_timeout_s);
        assert_eq!(rules.schedule_s, config.delivery_schedule_s.0);
        assert_eq!((rules.rate_per_s, rules.pause_after), (None, None));
        let own = Policy {
            concurrency: Some(0),
            rate_per_s: Some(7),
            timeout_s: Some(3),
            schedule_s: Some(vec![1, 2]),
            pause_after_s: Some(u64::MAX),
            ..Policy::default()
        };
        let rules = Rules::of(&config, &own);
        assert_eq!(rules.concurrency, 1);
        assert_eq!(rules.timeout, Duration::from_secs(3));
        assert_eq!(rules.schedule_s, [1, 2]);
        assert_eq!(rules.rate_per_s, Some(7));
        let longest = rules.pause_after.map(|wait| wait.num_seconds());
        assert_eq!(longest, Some(i64::MAX / 1000));
    }
}
