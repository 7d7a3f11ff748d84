//! CloudEvents 1.0, structured mode: one JSON object with the native output format in `data`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::message::{JSON, Message};
use crate::{
    clock::Time,
    store::{deliveries::Delivery, integrations::policy::EventType},
};

const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: &'a str,
    time: Time,
    datacontenttype: &'static str,
    data: &'a RawValue,
}

/// Times in the body of an uplink or event.
#[derive(Deserialize)]
struct Times {
    time: Option<Time>,
    uplink_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    last_data_received: Option<Received>,
}

#[derive(Deserialize)]
struct Received {
    received_at: Option<Time>,
}

/// Returns the CloudEvent of a delivery. Its id is that of the uplink or event, so it is the same in
/// all integrations and for repeated attempts. A raw event has a different id than the data event of
/// the same uplink, because receivers treat events with the same source and id as duplicates.
pub fn message(delivery: &Delivery, type_name: &str, origin: &str) -> Result<Message, String> {
    let data: &RawValue =
        serde_json::from_str(&delivery.body).map_err(|error| error.to_string())?;
    let event = Event {
        specversion: "1.0",
        id: match delivery.kind {
            EventType::Raw => format!("{}-raw", delivery.subject_id),
            _ => delivery.subject_id.to_string(),
        },
        source: format!("{origin}/api/v3/devices/{}", delivery.device_id),
        kind: format!("thingshub.{type_name}"),
        subject: &delivery.device_id,
        time: happened_at(&delivery.body).unwrap_or(delivery.created_at),
        datacontenttype: JSON,
        data,
    };
    Ok(Message {
        content_type: CONTENT_TYPE.to_owned(),
        body: serde_json::to_string(&event).map_err(|error| error.to_string())?,
    })
}

fn happened_at(body: &str) -> Option<Time> {
    let moments: Times = serde_json::from_str(body).ok()?;
    moments.time.or_else(|| {
        let received = moments.uplink_metadata?.last_data_received?;
        received.received_at
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn events_obey_the_schema_of_the_specification() {
        let schema: Value =
            serde_json::from_str(include_str!("../../../tests/schemas/cloudevents-1.0.json"))
                .unwrap();
        let schema = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        let delivery = super::super::message::delivery(r#"{"data":{"temperature":21.5}}"#);
        for origin in ["", "https://hub.example.com"] {
            let message = message(&delivery, "data", origin).unwrap();
            let event: Value = serde_json::from_str(&message.body).unwrap();
            let wrong: Vec<String> = schema.iter_errors(&event).map(|e| e.to_string()).collect();
            assert_eq!(wrong, Vec::<String>::new());
            assert_eq!(event["data"], json!({"data": {"temperature": 21.5}}));
            assert_eq!(event["id"], delivery.subject_id.to_string());
            let device = format!("{origin}/api/v3/devices/{}", delivery.device_id);
            assert_eq!(event["source"], device);
        }
        // The schema can reject a document.
        assert!(!schema.is_valid(&json!({"specversion": "1.0", "id": "", "source": "/"})));
    }
    #[test]
    fn two_events_of_one_uplink_are_told_apart_and_tell_its_own_time() {
        let received = "2026-01-31T12:00:01Z";
        let metadata = json!({"last_data_received": {"received_at": received}});
        let event = |kind, time: Value| -> Value {
            let body = json!({"time": time, "uplink_metadata": metadata});
            let mut delivery = super::super::message::delivery(&body.to_string());
            delivery.kind = kind;
            let message = message(&delivery, kind.as_str(), "").unwrap();
            let event: Value = serde_json::from_str(&message.body).unwrap();
            let id = event["id"].as_str().unwrap();
            assert!(id.starts_with(&delivery.subject_id.to_string()), "{id}");
            event
        };
        let data = event(EventType::Data, json!("2026-01-31T12:00:00Z"));
        let raw = event(EventType::Raw, Value::Null);
        assert!(raw["id"].as_str().unwrap().ends_with("-raw"), "{raw}");
        assert_eq!(data["id"].as_str().unwrap().len(), 36);
        let time = |event: &Value| event["time"].as_str().unwrap()[..19].to_owned();
        assert_eq!(time(&data), "2026-01-31T12:00:00");
        assert_eq!(time(&raw), received[..19]);
    }
}
