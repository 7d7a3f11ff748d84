//! Messages of network servers, and the decoding of their uplinks.

use std::time::Duration;

use prometheus::{Histogram, IntCounterVec, IntGauge};

use super::family::Family;

/// From a message that waits for one commit to one that waits for a database under load.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0,
];

/// Network of a sender without a valid key.
const UNKNOWN: &str = "unknown";

/// Metrics of messages.
pub struct Uplinks {
    messages: IntCounterVec,
    seconds: Histogram,
    decodes: IntCounterVec,
    /// Messages that wait to be written.
    pub queue: IntGauge,
}

/// Outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageOutcome {
    /// An uplink of a device was stored.
    Recorded,
    /// A copy of a stored uplink.
    Duplicate,
    /// The device is unknown; the message was stored as an event.
    UnknownDevice,
    /// Another message, such as a join, was stored as an event.
    Event,
    /// The network connection is disabled.
    Disabled,
    /// The message is malformed.
    Refused,
    /// The sender has no valid ingest key.
    Unauthorized,
    /// The message could not be stored; the sender should send it again.
    Failed,
}

/// Outcome of decoding an uplink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeOutcome {
    /// The driver returned data.
    Decoded,
    /// The driver failed, is missing or could not run.
    Failed,
    /// The device has no driver, or the uplink no payload.
    Skipped,
}

impl MessageOutcome {
    const ALL: [Self; 8] = [
        Self::Recorded,
        Self::Duplicate,
        Self::UnknownDevice,
        Self::Event,
        Self::Disabled,
        Self::Refused,
        Self::Unauthorized,
        Self::Failed,
    ];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Duplicate => "duplicate",
            Self::UnknownDevice => "unknown_device",
            Self::Event => "event",
            Self::Disabled => "disabled",
            Self::Refused => "refused",
            Self::Unauthorized => "unauthorized",
            Self::Failed => "failed",
        }
    }
}

impl DecodeOutcome {
    const ALL: [Self; 3] = [Self::Decoded, Self::Failed, Self::Skipped];

    fn as_str(self) -> &'static str {
        match self {
            Self::Decoded => "decoded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Uplinks {
    pub(super) fn new(family: &Family<'_>, networks: &[&'static str]) -> Self {
        let messages = family.counters(
            "thingshub_messages_total",
            "Messages of network servers, by type of the network connection and outcome.",
            &["network", "outcome"],
        );
        let decodes = family.counters(
            "thingshub_uplink_decodes_total",
            "Stored uplinks, by type of the network connection and outcome of their decoding.",
            &["network", "outcome"],
        );
        // A rate is wrong by the first event of a series that begins with it.
        for network in networks {
            for outcome in MessageOutcome::ALL {
                if outcome != MessageOutcome::Unauthorized {
                    messages.with_label_values(&[*network, outcome.as_str()]);
                }
            }
            for outcome in DecodeOutcome::ALL {
                decodes.with_label_values(&[*network, outcome.as_str()]);
            }
        }
        messages.with_label_values(&[UNKNOWN, MessageOutcome::Unauthorized.as_str()]);
        Self {
            messages,
            seconds: family.histogram(
                "thingshub_message_seconds",
                "Time from the arrival of a message until it is stored or refused.",
                SECONDS,
            ),
            decodes,
            queue: family.gauge(
                "thingshub_uplink_queue_length",
                "Messages that wait to be written to the database.",
            ),
        }
    }

    /// Counts a message of a known network connection.
    pub fn count(&self, network: &'static str, outcome: MessageOutcome, took: Duration) {
        self.messages
            .with_label_values(&[network, outcome.as_str()])
            .inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts a request without a valid ingest key.
    pub fn count_unauthorized(&self) {
        self.messages
            .with_label_values(&[UNKNOWN, MessageOutcome::Unauthorized.as_str()])
            .inc();
    }

    /// Counts the decoding of a stored uplink.
    pub fn count_decode(&self, network: &'static str, outcome: DecodeOutcome) {
        self.decodes
            .with_label_values(&[network, outcome.as_str()])
            .inc();
    }
}
