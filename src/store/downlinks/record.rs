//! Downlinks as they are read.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    clock::Time,
    error::{Error, Result},
    id::{ConnectionId, DeviceKey},
    store::{
        core::{
            json::members,
            words::{Word, words},
        },
        entities::downlink,
        live::events::NewEvent,
    },
};

/// Where a downlink stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits in the hub.
    Queued,
    /// The network server has it.
    Sent,
    /// The device has confirmed it.
    Acknowledged,
    /// It was given up, or the network or the device refused it.
    Failed,
    /// It waited too long.
    Expired,
    /// It was taken back, or a newer desired state took its place.
    Cancelled,
}

/// Who asked for a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A client, by queueing it.
    Api,
    /// A client, by changing the desired state.
    DesiredState,
}

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After all others.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// A downlink to queue.
#[derive(Debug, Clone, Serialize)]
pub struct NewDownlink {
    /// Over which network.
    #[serde(rename = "network_connection_id")]
    pub connection: ConnectionId,
    /// The device's address there.
    pub network_device_id: String,
    /// Who asked for it.
    pub origin: Origin,
    /// What to send.
    #[serde(serialize_with = "as_hex")]
    pub payload: Vec<u8>,
    /// The values that the payload was encoded from.
    pub values: Option<Value>,
    /// LoRaWAN port.
    pub f_port: u8,
    /// Whether the device is to confirm it.
    pub confirmed: bool,
    /// What goes first.
    pub priority: Priority,
    /// When it is no longer worth sending.
    pub expires_at: Option<Time>,
    /// Whether the hub sends it by itself; else it waits for the device's next message.
    #[serde(skip)]
    pub is_pushed: bool,
}

/// A downlink.
#[derive(Debug, Clone)]
pub struct Downlink {
    /// Sorts by the time at which it was queued.
    pub id: Uuid,
    /// The device that it is for.
    pub device: DeviceKey,
    /// What was queued.
    pub queued: NewDownlink,
    /// Where it stands.
    pub state: State,
    /// Attempts to hand it to the network server.
    pub attempt: i32,
    /// When the next one is due, or the current one counts as lost.
    pub due_at: Option<Time>,
    /// Whether an attempt is under way.
    pub is_sending: bool,
    /// When the network server took it.
    pub sent_at: Option<Time>,
    /// When the network sent it over the air, where it tells.
    pub transmitted_at: Option<Time>,
    /// The network server's own id of it.
    pub network_reference: Option<String>,
    /// The frame counter that it was sent with.
    pub f_cnt_down: Option<i64>,
    /// HTTP status of the last attempt.
    pub last_status: Option<i32>,
    /// Why it is not further.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: Time,
    /// When its state last changed.
    pub updated_at: Time,
}

impl Downlink {
    /// What happened to it, as it is told of its device.
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
            State::Queued if self.is_sending => Err(Error::Conflict(
                "the downlink is being sent at this moment".to_owned(),
            )),
            State::Queued => Ok(()),
            other => Err(Error::Conflict(format!(
                "only a queued downlink can be taken back, and this one is {}",
                other.as_str()
            ))),
        }
    }
}

impl State {
    /// The kind of the event that tells of it.
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
    /// As it is written in the API.
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

impl From<downlink::Model> for Downlink {
    fn from(model: downlink::Model) -> Self {
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
        Self {
            id,
            device: DeviceKey(device_key),
            queued: NewDownlink {
                connection: ConnectionId(connection_id),
                network_device_id,
                origin: Origin::of_word(&origin).unwrap_or(Origin::Api),
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
            state: State::of_word(&state).unwrap_or(State::Queued),
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
        }
    }
}
