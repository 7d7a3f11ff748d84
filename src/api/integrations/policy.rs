//! Event types and delivery policy of integrations, as set by clients.

use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use crate::{
    api::http::{
        mirror::mirror,
        types::{Int, List, Waits},
    },
    store::integrations::policy::{EventType as StoredType, Policy as StoredPolicy},
};

/// Maximum number of concurrent deliveries.
type Concurrency = Int<1, 256>;
/// Longest time for one attempt, in seconds.
type Timeout = Int<1, 300>;
/// Maximum number of attempts per second.
type Rate = Int<1, 10_000>;
/// Time of continuous failure after which an integration is paused, in seconds: up to 90 days.
type Patience = Int<1, 7_776_000>;

/// A type of event that integrations forward
#[derive(Enum, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[oai(rename_all = "snake_case", rename = "EventType")]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// Uplinks with what the driver made of them
    Data,
    /// Uplinks as they were received, also those that the driver makes nothing of
    Raw,
    /// Devices that have joined their network
    Join,
    /// What became of downlinks
    Downlink,
    /// Battery and margin, as the network tells of them
    Status,
    /// Where a device is, as the network tells of it
    Location,
    /// What went wrong: drivers that failed, errors that the network tells of
    Error,
}

/// Event types, at least one.
pub type EventTypes = List<EventType, 1, 7>;

/// Returns the default event types of an integration.
pub fn data_alone() -> EventTypes {
    List(vec![EventType::Data])
}

/// How an integration is delivered to
///
/// What is left out is as the hub's settings say.
#[derive(Object, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "DeliveryPolicy")]
pub struct Policy {
    /// Deliveries under way at a time
    concurrency: Option<Concurrency>,
    /// Whether the deliveries of each device go one after the other, in the order in which they were
    /// queued: one that fails holds back those of its device, and no other. It is about deliveries that
    /// are queued from then on
    #[oai(default)]
    #[serde(default)]
    ordered_by_device: bool,
    /// Most attempts in a second; left out, as many as the target takes
    rate_per_s: Option<Rate>,
    /// Longest time for one attempt, in seconds
    timeout_s: Option<Timeout>,
    /// Waits before the second, third ... attempt, in seconds; half to all of each is waited. After
    /// the last, the delivery is dead
    schedule_s: Option<Waits>,
    /// After failing for so many seconds without a success, the integration is paused by itself, with
    /// the reason in its health; left out, never
    pause_after_s: Option<Patience>,
}

mirror!(EventType = StoredType: Data, Raw, Join, Downlink, Status, Location, Error);

impl From<Policy> for StoredPolicy {
    fn from(policy: Policy) -> Self {
        let seconds = |seconds: i64| seconds.unsigned_abs();
        Self {
            concurrency: policy.concurrency.map(|count| count.unsigned_abs() as u32),
            ordered_by_device: policy.ordered_by_device,
            rate_per_s: policy.rate_per_s.map(|rate| rate.unsigned_abs() as u32),
            timeout_s: policy.timeout_s.map(|time| seconds(*time)),
            schedule_s: policy.schedule_s.map(|waits| waits.0),
            pause_after_s: policy.pause_after_s.map(|time| seconds(*time)),
        }
    }
}

impl From<StoredPolicy> for Policy {
    fn from(policy: StoredPolicy) -> Self {
        Self {
            concurrency: policy.concurrency.map(Int::saturating),
            ordered_by_device: policy.ordered_by_device,
            rate_per_s: policy.rate_per_s.map(Int::saturating),
            timeout_s: policy.timeout_s.map(Int::saturating),
            schedule_s: policy.schedule_s.map(Waits),
            pause_after_s: policy.pause_after_s.map(Int::saturating),
        }
    }
}
