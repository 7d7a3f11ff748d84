//! The messages that integrations send to receivers, as a part of the document.
//!
//! These types are never made: the hub writes messages where it records what happened (`uplink::native`,
//! `store::deliveries::of_events`), below the layer that may name poem-openapi. The tests hold every message that any
//! receiver gets to these schemas, with no member more and none less.

mod absent;
mod cloud_event;
mod downlink;
mod error;
mod event;
mod network;
mod test;
mod uplink;
mod word;

use poem::http::Method;
use poem_openapi::{
    Tags, Webhook,
    registry::{
        MetaMediaType, MetaOperation, MetaRequest, MetaResponses, MetaSchema, MetaSchemaRef,
        MetaWebhook, Registry,
    },
    types::{ParseFromJSON, Type},
};

use self::{
    cloud_event::CloudEventMessage,
    downlink::DownlinkMessage,
    error::{DriverFailedMessage, NetworkErrorMessage},
    network::{JoinMessage, LocationMessage, StatusMessage},
    test::TestMessage,
    uplink::UplinkMessage,
};
use crate::api::tag::Tag;

const JSON: &str = "application/json";
const CLOUD_EVENT: &str = "application/cloudevents+json; charset=utf-8";
const ANYTHING: &str = "*/*";

/// All kinds of messages that the hub sends to receivers.
pub struct Messages;

/// A kind of message.
struct Kind {
    name: &'static str,
    summary: &'static str,
    description: &'static str,
    content_type: &'static str,
    schema: fn(&mut Registry) -> MetaSchemaRef,
    /// Examples with their names, as JSON; a template's is text.
    examples: &'static [(&'static str, &'static str)],
}

const KINDS: [Kind; 11] = [
    Kind {
        name: "uplink",
        summary: "Receive an uplink",
        description: "Sent for each uplink with data of a device that the integration's `selector` matches, if `events` \
            of the integration contains `data` (the default). `data` holds the fields that the driver decoded. Frames \
            without a payload, and frames on port 0, are not sent.",
        content_type: JSON,
        schema: registered::<UplinkMessage>,
        examples: &[
            ("decoded", include_str!("examples/uplink.json")),
            ("driver_failed", include_str!("examples/uplink_failed.json")),
            (
                "several_times",
                include_str!("examples/uplink_updates.json"),
            ),
        ],
    },
    Kind {
        name: "raw_uplink",
        summary: "Receive a raw uplink",
        description: "Sent for each uplink as it was received, if `events` of the integration contains `raw`: also for \
            frames without data and for uplinks that the driver fails on. `data` is null, and there is neither `updates` nor \
            `error`. An integration with both `data` and `raw` gets two messages for an uplink, with different \
            `Webhook-Id`.",
        content_type: JSON,
        schema: registered::<UplinkMessage>,
        examples: &[("raw", include_str!("examples/raw_uplink.json"))],
    },
    Kind {
        name: "join",
        summary: "Receive a join",
        description: "Sent when a device has joined its network, or asks to, if `events` of the integration contains \
            `join`. Not every network server reports joins.",
        content_type: JSON,
        schema: registered::<JoinMessage>,
        examples: &[("join", include_str!("examples/join.json"))],
    },
    Kind {
        name: "downlink",
        summary: "Receive a downlink's state",
        description: "Sent when the hub changes the state of a downlink, and when the network server reports something \
            about one, if `events` of the integration contains `downlink`.",
        content_type: JSON,
        schema: registered::<DownlinkMessage>,
        examples: &[
            ("changed_by_the_hub", include_str!("examples/downlink.json")),
            (
                "reported_by_the_network",
                include_str!("examples/downlink_report.json"),
            ),
        ],
    },
    Kind {
        name: "status",
        summary: "Receive a device's status",
        description: "Sent when the network server reports the battery level or the link margin of a device, if \
            `events` of the integration contains `status`.",
        content_type: JSON,
        schema: registered::<StatusMessage>,
        examples: &[("status", include_str!("examples/status.json"))],
    },
    Kind {
        name: "location",
        summary: "Receive a device's location",
        description: "Sent when the network server estimates the location of a device, if `events` of the integration \
            contains `location`.",
        content_type: JSON,
        schema: registered::<LocationMessage>,
        examples: &[("location", include_str!("examples/location.json"))],
    },
    Kind {
        name: "driver_failed",
        summary: "Receive a driver's failure",
        description: "Sent when the driver of a device fails on an uplink or its result is refused, if `events` of the \
            integration contains `error`. The uplink itself is sent as well, as `data` with `error` set and as `raw`, to \
            integrations that ask for these.",
        content_type: JSON,
        schema: registered::<DriverFailedMessage>,
        examples: &[("driver_failed", include_str!("examples/driver_failed.json"))],
    },
    Kind {
        name: "network_error",
        summary: "Receive a network error",
        description: "Sent when the network server reports an error about a device, if `events` of the integration \
            contains `error`.",
        content_type: JSON,
        schema: registered::<NetworkErrorMessage>,
        examples: &[("network_error", include_str!("examples/network_error.json"))],
    },
    Kind {
        name: "cloud_event",
        summary: "Receive a CloudEvent",
        description: "Sent in place of all other messages if `payload` of the integration is `{\"type\": \
            \"cloudevents\"}`: a CloudEvent 1.0 in structured mode, with the message in `data`. Discard an event whose \
            `source` and `id` you have seen before.",
        content_type: CLOUD_EVENT,
        schema: registered::<CloudEventMessage>,
        examples: &[
            ("uplink", include_str!("examples/cloud_event.json")),
            ("join", include_str!("examples/cloud_event_join.json")),
        ],
    },
    Kind {
        name: "templated",
        summary: "Receive a templated message",
        description: "Sent in place of all other messages if `payload` of the integration is a template. The body is \
            what the template renders, and `Content-Type` is the template's `content_type`: the hub defines neither. If the \
            media type is JSON, the body is valid JSON.",
        content_type: ANYTHING,
        schema: |_| MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)),
        examples: &[("celsius", include_str!("examples/templated.json"))],
    },
    Kind {
        name: "test",
        summary: "Receive a test",
        description: "Sent by `POST /api/v3/integrations/{id}/test`, past the queue and once: an uplink with made-up values \
            and `\"event\": \"test\"`. An integration with CloudEvents or a template sends the test in that form. Accept it \
            with 2xx, and do not store it as data of a device.",
        content_type: JSON,
        schema: registered::<TestMessage>,
        examples: &[("test", include_str!("examples/test.json"))],
    },
];

impl Webhook for Messages {
    fn meta() -> Vec<MetaWebhook> {
        let mut registry = Registry::new();
        KINDS
            .iter()
            .map(|kind| MetaWebhook {
                name: kind.name,
                operation: kind.operation(&mut registry),
            })
            .collect()
    }

    fn register(registry: &mut Registry) {
        for kind in &KINDS {
            (kind.schema)(registry);
        }
    }
}

impl Messages {
    /// Returns the examples of a kind with their names.
    pub fn examples(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
        let kinds = KINDS.iter().filter(move |kind| kind.name == name);
        kinds.flat_map(|kind| kind.examples.iter().copied())
    }
}

impl Kind {
    /// Returns the request that a receiver gets. Its headers and the responses are the same for all kinds and are
    /// added to the document by a step of their own.
    fn operation(&self, registry: &mut Registry) -> MetaOperation {
        MetaOperation {
            method: Method::POST,
            tags: vec![Tag::Integrations.name()],
            summary: Some(self.summary),
            description: Some(self.description),
            external_docs: None,
            params: Vec::new(),
            request: Some(MetaRequest {
                description: None,
                content: vec![MetaMediaType {
                    content_type: self.content_type,
                    schema: (self.schema)(registry),
                }],
                required: true,
            }),
            responses: MetaResponses {
                responses: Vec::new(),
            },
            deprecated: false,
            security: Vec::new(),
            operation_id: None,
            code_samples: Vec::new(),
        }
    }
}

fn registered<T: Type + ParseFromJSON>(registry: &mut Registry) -> MetaSchemaRef {
    T::register(registry);
    T::schema_ref()
}
