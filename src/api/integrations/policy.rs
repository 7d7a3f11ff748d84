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

/// Type of event that an integration forwards.
#[derive(Enum, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[oai(rename_all = "snake_case", rename = "EventType")]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// Uplinks with decoded data. Frames without data are not forwarded.
    Data,
    /// Uplinks as received, with `data: null`, including those that cannot be decoded.
    Raw,
    /// A device has joined its network.
    Join,
    /// Changes in the state of downlinks.
    Downlink,
    /// Battery and link margin, as reported by the network server.
    Status,
    /// Location of a device, as reported by the network server.
    Location,
    /// Driver failures, and errors reported by the network server.
    Error,
}

/// Event types, at least one.
pub type EventTypes = List<EventType, 1, 7>;

/// Returns the default event types of an integration.
pub fn data_alone() -> EventTypes {
    List(vec![EventType::Data])
}

/// Delivery policy of an integration. The hub's settings apply to omitted fields.
#[derive(Object, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "DeliveryPolicy")]
pub struct Policy {
    /// Maximum number of concurrent attempts. If omitted or null, the hub's setting `delivery_concurrency` applies.
    concurrency: Option<Concurrency>,
    /// Whether the deliveries of each device are sent one after the other, in the order in which they were queued. A
    /// failed delivery then holds back the later deliveries of its device, but of no other device. A change applies to
    /// deliveries that are queued after it.
    #[oai(default)]
    #[serde(default)]
    ordered_by_device: bool,
    /// Maximum number of attempts per second. If omitted or null, there is no limit.
    rate_per_s: Option<Rate>,
    /// Timeout of an attempt, in seconds. If omitted or null, the hub's setting `delivery_timeout_s` applies.
    timeout_s: Option<Timeout>,
    /// Delays before the second and later attempts, in seconds. The hub waits a random time between half of a delay and
    /// all of it. When the attempt after the last delay fails, the delivery is dead. If omitted or null, the hub's
    /// setting `delivery_schedule_s` applies.
    schedule_s: Option<Waits>,
    /// Duration of continuous failure, in seconds, after which the hub pauses the integration; `pause_reason` of its
    /// health states the reason. If omitted or null, the hub never pauses it.
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
