//! The envelope of CloudEvents.

use poem_openapi::{Object, Union};

use super::{
    downlink::DownlinkMessage,
    error::{DriverFailedMessage, NetworkErrorMessage},
    network::{JoinMessage, LocationMessage, StatusMessage},
    test::TestMessage,
    uplink::UplinkMessage,
    word::{Word, words},
};
use crate::api::http::types::Timestamp;

words!(SpecVersion: "1.0");
words!(EventTypes: "thingshub.data", "thingshub.raw", "thingshub.join", "thingshub.downlink", "thingshub.status",
    "thingshub.location", "thingshub.error", "thingshub.test");
words!(DataContentType: "application/json");

/// A CloudEvent 1.0 in structured mode, with the message in `data`. Sent by integrations whose `payload` is
/// `{"type": "cloudevents"}`.
#[derive(Object)]
#[oai(rename = "CloudEvent")]
pub struct CloudEventMessage {
    /// Version of the CloudEvents specification.
    specversion: Word<SpecVersion>,
    /// Unique identifier of the event together with `source`: the identifier of the uplink or of the event, with `-raw`
    /// appended for the type `thingshub.raw`. It is the same in every integration and in every attempt.
    id: String,
    /// URI of the device: `/api/v3/devices/{id}`, below the hub's public URL if the operator has configured one.
    source: String,
    /// Type of the event: `thingshub.` and the event type of the integration, or `thingshub.test` for a test.
    #[oai(rename = "type")]
    kind: Word<EventTypes>,
    /// Unique identifier of the device in the hub. `test` for a test.
    subject: String,
    /// Time of the event: `time` of the message in `data`. If that is null, it is the time at which the hub received
    /// the uplink.
    time: Timestamp,
    /// Media type of `data`.
    datacontenttype: Word<DataContentType>,
    /// The message in the native output format: an uplink for `thingshub.data` and `thingshub.raw`, the message of the
    /// event for all other types.
    data: CloudEventData,
}

/// A message in the native output format.
#[derive(Union)]
enum CloudEventData {
    Uplink(UplinkMessage),
    Join(JoinMessage),
    Downlink(DownlinkMessage),
    Status(StatusMessage),
    Location(LocationMessage),
    DriverFailed(DriverFailedMessage),
    NetworkError(NetworkErrorMessage),
    Test(TestMessage),
}
