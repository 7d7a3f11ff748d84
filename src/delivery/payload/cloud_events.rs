//! CloudEvents 1.0, structured mode: one JSON object with the native output format in `data`.

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{JSON, Message};
use crate::{clock::Time, store::deliveries::Delivery};

const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: &'a str,
    time: Time,
    datacontenttype: &'static str,
    data: &'a RawValue,
}

/// The event of a delivery. Its id is that of the uplink or
/// event: the same in all integrations, and when it is sent
/// again.
pub fn message(delivery: &Delivery, origin: &str) -> Result<Message, String> {
    let data: &RawValue =
        serde_json::from_str(&delivery.body).map_err(|error| error.to_string())?;
    let event = Event {
        specversion: "1.0",
        id: delivery.subject_id,
        source: format!("{origin}/api/v3/devices/{}", delivery.device_id),
        kind: format!("thingshub.{}", delivery.kind.as_str()),
        subject: &delivery.device_id,
        time: delivery.created_at,
        datacontenttype: JSON,
        data,
    };
    Ok(Message {
        content_type: CONTENT_TYPE.to_owned(),
        body: serde_json::to_string(&event).map_err(|error| error.to_string())?,
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
        let delivery = super::super::delivery(r#"{"data":{"temperature":21.5}}"#);
        for origin in ["", "https://hub.example.com"] {
            let message = message(&delivery, origin).unwrap();
            let event: Value = serde_json::from_str(&message.body).unwrap();
            let wrong: Vec<String> = schema.iter_errors(&event).map(|e| e.to_string()).collect();
            assert_eq!(wrong, Vec::<String>::new());
            assert_eq!(event["data"], json!({"data": {"temperature": 21.5}}));
            assert_eq!(event["id"], delivery.subject_id.to_string());
        }
        // The schema can fail.
        assert!(!schema.is_valid(&json!({"specversion": "1.0", "id": "", "source": "/"})));
    }
}
