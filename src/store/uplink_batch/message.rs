//! Messages to record, and their outcomes.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::{Error, Result},
    id::{ConnectionId, DeviceKey, TenantId},
    store::{
        data::NewRow,
        deliveries::enqueue::{Queued, Recipient},
        devices::{driver_states::NewState, frames::Mark, record::State},
        downlinks::queue::News,
        integrations::policy::EventType,
        live::events::NewEvent,
        networks::unknown_devices::Sighting,
    },
};

/// Message to record.
pub struct Message {
    /// Tenant of the message.
    pub tenant: TenantId,
    /// Network connection that received it.
    pub connection: ConnectionId,
    /// Time at which the hub received it.
    pub received_at: Time,
    /// Problem with the time that the network server reported, if any.
    pub odd_time: Option<String>,
    /// Epoch of the tenant at which all referenced rows were looked up. `None` if the message may be recorded after
    /// changes, as long as the tenant exists.
    pub epoch: Option<u64>,
    /// Content to record.
    pub content: Content,
}

impl Content {
    /// Returns the device that the message is about, if known.
    pub(super) fn device(&self) -> Option<DeviceKey> {
        match self {
            Self::Uplink(record) => Some(record.device),
            Self::Downlink(_, news) => Some(news.device),
            Self::Other(device, _) => *device,
            Self::UnknownDevice(..) | Self::Malformed(_) | Self::Unauthorized(_) => None,
        }
    }
}

/// Content of a message.
pub enum Content {
    /// Uplink of a known device.
    Uplink(Box<Record>),
    /// Well-formed message of an unknown device.
    UnknownDevice(Sighting, NewEvent),
    /// Well-formed message other than an uplink.
    Other(Option<DeviceKey>, NewEvent),
    /// Report about a device's downlink.
    Downlink(NewEvent, Box<News>),
    /// Rejected message, with the reason.
    Malformed(String),
    /// Number of requests with a wrong ingest key.
    Unauthorized(i64),
}

/// Uplink with everything derived from it.
pub struct Record {
    /// Key of the device.
    pub device: DeviceKey,
    /// Identifier of the device.
    pub device_id: String,
    /// Time at which the network received it.
    pub time: Time,
    /// LoRaWAN port.
    pub f_port: Option<u8>,
    /// LoRaWAN frame counter.
    pub f_cnt: Option<u32>,
    /// Characteristics that distinguish it from other frames of the device, if there are any.
    pub mark: Option<Mark>,
    /// True if it may contain data; otherwise it only shows that the device is alive.
    pub carries_data: bool,
    /// Payload of the uplink.
    pub raw: Option<Vec<u8>>,
    /// Radio data of the reception.
    pub radio: Value,
    /// Data that the driver decoded.
    pub data: Option<Map<String, Value>>,
    /// Values per time, if the driver returned several.
    pub updates: Option<Value>,
    /// New driver state of the device, if the driver returned one.
    pub driver_state: Option<NewState>,
    /// Reason why the driver could not decode it.
    pub failure: Option<Value>,
    /// Events that the driver reported, and the confirmation of a downlink.
    pub events: Vec<NewEvent>,
    /// Accompanying reports of the network, which may arrive with a later copy instead.
    pub reports: Vec<NewEvent>,
    /// True if the device confirms a downlink with it.
    pub acknowledges: bool,
    /// Rows for data tables.
    pub rows: Vec<NewRow>,
    /// Integrations that receive it.
    pub integrations: Vec<Recipient>,
    /// Renders the message for integrations from the device's state after this uplink.
    pub render: Render,
}

/// Renders the message of an event type from the device's state.
pub type Render = Box<dyn Fn(EventType, &State) -> String + Send + Sync>;

/// Outcome of a message in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The message was stored.
    Recorded,
    /// The message was stored as the uplink with this identifier.
    Uplink(Uuid),
    /// The message is a copy of a frame that is stored as the uplink with this identifier; nothing was written.
    Duplicate(Uuid),
    /// Referenced rows were looked up before a change; nothing was written.
    Gone,
    /// A referenced row is missing although no change was detected; nothing was written.
    Dangling,
    /// The driver state differs from the one that the driver read; nothing was written.
    Stale,
}

/// Outcome of a batch.
#[derive(Default)]
pub struct Recorded {
    /// Outcome of each message.
    pub outcomes: Vec<Result<Outcome>>,
    /// Deliveries queued by its uplinks.
    pub queued: Vec<Queued>,
}

impl Recorded {
    /// Records that the next messages were not written.
    pub(super) fn refuse(&mut self, messages: usize, why: &Error) {
        let refused = std::iter::repeat_with(|| Err(why.echo()));
        self.outcomes.extend(refused.take(messages));
    }
}
