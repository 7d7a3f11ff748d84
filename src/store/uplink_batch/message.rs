//! Messages to write down, and what becomes of them.

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

/// One message to write down.
pub struct Message {
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it came in.
    pub connection: ConnectionId,
    /// When the hub received it.
    pub received_at: Time,
    /// What is wrong with the time that the network server told, where anything is.
    pub odd_time: Option<String>,
    /// The tenant's epoch at which all that it refers to was looked up; `None`: it may be written
    /// even if something has changed since, as long as the tenant is there.
    pub epoch: Option<u64>,
    /// What to write.
    pub content: Content,
}

impl Content {
    /// The device that it is about, where that is known.
    pub(super) fn device(&self) -> Option<DeviceKey> {
        match self {
            Self::Uplink(record) => Some(record.device),
            Self::Downlink(_, news) => Some(news.device),
            Self::Other(device, _) => *device,
            Self::UnknownDevice(..) | Self::Malformed(_) | Self::Unauthorized(_) => None,
        }
    }
}

/// What a message turned out to be.
pub enum Content {
    /// An uplink of a known device.
    Uplink(Box<Record>),
    /// A well-formed message of a device that nobody provisioned.
    UnknownDevice(Sighting, NewEvent),
    /// A well-formed message that is no uplink.
    Other(Option<DeviceKey>, NewEvent),
    /// What became of a downlink of a device.
    Downlink(NewEvent, Box<News>),
    /// A message that was refused, and why.
    Malformed(String),
    /// So many requests with a wrong ingest key.
    Unauthorized(i64),
}

/// An uplink with all that follows from it.
pub struct Record {
    /// The device's key.
    pub device: DeviceKey,
    /// The device's id.
    pub device_id: String,
    /// When the network received it.
    pub time: Time,
    /// LoRaWAN port.
    pub f_port: Option<u8>,
    /// LoRaWAN frame counter.
    pub f_cnt: Option<u32>,
    /// What tells it from other frames of the device, where anything does.
    pub mark: Option<Mark>,
    /// Whether it may hold data of the device; one that does not is heard, and no more.
    pub carries_data: bool,
    /// The payload.
    pub raw: Option<Vec<u8>>,
    /// How it was received.
    pub radio: Value,
    /// What the driver made of it.
    pub data: Option<Map<String, Value>>,
    /// The values of each time, where the driver told of several.
    pub updates: Option<Value>,
    /// What the driver keeps of the device from now on.
    pub driver_state: Option<NewState>,
    /// Why the driver made nothing of it.
    pub failure: Option<Value>,
    /// What the driver had to tell, and that the device confirms a downlink.
    pub events: Vec<NewEvent>,
    /// What the network told with it, which a copy may tell first.
    pub told: Vec<NewEvent>,
    /// Whether the device confirms a downlink with it.
    pub acknowledges: bool,
    /// Rows for data tables.
    pub rows: Vec<NewRow>,
    /// Who wants to hear of it.
    pub integrations: Vec<Recipient>,
    /// Makes the message for integrations from the device's state after this uplink.
    pub render: Render,
}

/// Makes the message of a type of event from the device's state.
pub type Render = Box<dyn Fn(EventType, &State) -> String + Send + Sync>;

/// What became of one message of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is on disk.
    Recorded,
    /// It is on disk as the uplink of this id.
    Uplink(Uuid),
    /// It is a copy of a frame that is on disk as the uplink of this id; nothing was written.
    Duplicate(Uuid),
    /// It was looked up before something changed; nothing was written.
    Gone,
    /// It refers to something that is not there, though nothing has told of a change; nothing was written.
    Dangling,
    /// The driver's state of the device is another than the driver has seen; nothing was written.
    Stale,
}

/// What became of a batch.
#[derive(Default)]
pub struct Recorded {
    /// Of each message.
    pub outcomes: Vec<Result<Outcome>>,
    /// What its uplinks have queued for integrations.
    pub queued: Vec<Queued>,
}

impl Recorded {
    /// The next messages were not written.
    pub(super) fn refuse(&mut self, messages: usize, why: &Error) {
        let refused = std::iter::repeat_with(|| Err(why.echo()));
        self.outcomes.extend(refused.take(messages));
    }
}
