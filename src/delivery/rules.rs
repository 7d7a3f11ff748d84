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
