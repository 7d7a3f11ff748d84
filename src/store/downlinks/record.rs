//! Types of downlinks.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::{Error, Reason, Result},
    id::{ConnectionId, DeviceKey},
    store::{
        core::{
            json::members,
            words::{of_column, words},
        },
        entities::downlink,
        live::events::NewEvent,
    },
};

/// State of a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waiting in the hub.
    Queued,
    /// Accepted by the network server.
    Sent,
    /// Confirmed by the device.
    Acknowledged,
    /// Given up, or rejected by the network or the device.
    Failed,
    /// Expired before it was sent.
    Expired,
    /// Cancelled by a client, or superseded by a newer desired state.
    Cancelled,
}

/// Origin of a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A client queued it.
    Api,
    /// A client changed the desired state.
    DesiredState,
}

/// Priority of a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After all others.
    Low,
    /// Default priority.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// Downlink to queue.
#[derive(Debug, Clone, Serialize)]
pub struct NewDownlink {
    /// Network connection to send it over.
    #[serde(rename = "network_connection_id")]
    pub connection: ConnectionId,
    /// Address of the device in the network.
    pub network_device_id: String,
    /// Origin of the downlink.
    pub origin: Origin,
    /// Payload to send.
    #[serde(serialize_with = "as_hex")]
    pub payload: Vec<u8>,
    /// Values that the payload was encoded from.
    pub values: Option<Value>,
    /// LoRaWAN port.
    pub f_port: u8,
    /// True to request a confirmation from the device.
    pub confirmed: bool,
    /// Priority in the device's queue.
    pub priority: Priority,
    /// Time after which it is not sent; `None` for no limit.
    pub expires_at: Option<Time>,
    /// True if the hub sends it by itself; false if it waits for the device's next uplink.
    #[serde(skip)]
    pub is_pushed: bool,
}

/// Downlink of a device.
#[derive(Debug, Clone)]
pub struct Downlink {
    /// Identifier, which sorts by the time of queuing.
    pub id: Uuid,
    /// Device that it is for.
    pub device: DeviceKey,
    /// Downlink as queued.
    pub queued: NewDownlink,
    /// State of the downlink.
    pub state: State,
    /// Number of attempts to send it to the network server.
    pub attempt: i32,
    /// Time at which the next attempt is due, or the current one counts as lost.
    pub due_at: Option<Time>,
    /// True if an attempt is in progress.
    pub is_sending: bool,
    /// Time at which the network server accepted it.
    pub sent_at: Option<Time>,
    /// Time at which it was sent over the air, if the network reports it.
    pub transmitted_at: Option<Time>,
    /// Network server's identifier of the downlink.
    pub network_reference: Option<String>,
    /// Frame counter that it was sent with.
    pub f_cnt_down: Option<i64>,
    /// HTTP status of the last attempt.
    pub last_status: Option<i32>,
    /// Error of the last attempt or report.
    pub last_error: Option<String>,
    /// Time at which it was queued.
    pub created_at: Time,
    /// Time of the last change of state.
    pub updated_at: Time,
}

impl Downlink {
    /// Returns the event of the device for the downlink's current state.
    pub fn event(&self, message: &str) -> NewEvent {
        NewEvent {
            kind: self.state.event_kind(),
            message: message.to_owned(),
            details: members(json!({
                "downlink_id": self.id,
                "origin": self.queued.origin.as_str(),
                "f_port": self.queued.f_port,
                "f_cnt_down": self.f_cnt_down,
                "error": self.last_error,
            })),
        }
    }

    pub(super) fn check_waits(&self) -> Result<()> {
        match self.state {
            State::Queued if self.is_sending => Err(Error::rejected(
                Reason::WrongState,
                "the downlink is being sent at this moment",
            )),
            State::Queued => Ok(()),
            other => Err(Error::rejected(
                Reason::WrongState,
                format!(
                    "only a queued downlink can be taken back, and this one is {}",
                    other.as_str()
                ),
            )),
        }
    }
}

impl State {
    /// Returns the kind of the event for this state.
    fn event_kind(self) -> &'static str {
        match self {
            State::Queued => "downlink_queued",
            State::Sent => "downlink_sent",
            State::Acknowledged => "downlink_acknowledged",
            State::Failed => "downlink_failed",
            State::Expired => "downlink_expired",
            State::Cancelled => "downlink_cancelled",
        }
    }
}

impl Priority {
    /// Returns the name of the priority in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
        }
    }
}

words!(State {
    Queued = "queued",
    Sent = "sent",
    Acknowledged = "acknowledged",
    Failed = "failed",
    Expired = "expired",
    Cancelled = "cancelled",
});

words!(Origin {
    Api = "api",
    DesiredState = "desired_state",
});

fn as_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

impl TryFrom<downlink::Model> for Downlink {
    type Error = Error;

    fn try_from(model: downlink::Model) -> Result<Self> {
        let downlink::Model {
            tenant_id: _,
            id,
            device_key,
            connection_id,
            network_device_id,
            origin,
            state,
            payload,
            content,
            f_port,
            confirmed,
            priority,
            attempt,
            due_at,
            is_sending,
            expires_at,
            sent_at,
            transmitted_at,
            network_reference,
            f_cnt_down,
            last_status,
            last_error,
            answered_uplink_id: _,
            created_at,
            updated_at,
        } = model;
        use downlink::Column;
        Ok(Self {
            id,
            device: DeviceKey(device_key),
            queued: NewDownlink {
                connection: ConnectionId(connection_id),
                network_device_id,
                origin: of_column(Column::Origin, &origin)?,
                payload,
                values: content,
                f_port: u8::try_from(f_port).unwrap_or_default(),
                confirmed,
                priority: match priority {
                    0 => Priority::Low,
                    2 => Priority::High,
                    _ => Priority::Normal,
                },
                expires_at,
                is_pushed: due_at.is_some(),
            },
            state: of_column(Column::State, &state)?,
            attempt,
            due_at,
            is_sending,
            sent_at,
            transmitted_at,
            network_reference,
            f_cnt_down,
            last_status,
            last_error,
            created_at,
            updated_at,
        })
    }
}
