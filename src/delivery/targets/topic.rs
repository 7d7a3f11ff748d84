//! Values for the placeholders of a topic.

use serde::Deserialize;

use crate::{store::deliveries::Delivery, topic::Subject};

/// Calls `then` with the values of a delivery. The labels are only parsed if the topic uses them.
pub fn subject<T>(delivery: &Delivery, has_labels: bool, then: impl FnOnce(Subject<'_>) -> T) -> T {
    let labels = match has_labels {
        true => labels(&delivery.body),
        false => Vec::new(),
    };
    then(Subject {
        device_id: &delivery.device_id,
        event: delivery.kind.as_str(),
        labels: &labels,
    })
}

/// Returns the device's labels. Uplinks have them in `uplink_metadata`, other events in `device`.
fn labels(body: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(alias = "uplink_metadata")]
        device: Device,
    }
    #[derive(Deserialize)]
    struct Device {
        labels: Option<Vec<String>>,
    }
    let message: Option<Message> = serde_json::from_str(body).ok();
    message
        .and_then(|message| message.device.labels)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_of_uplinks_and_of_other_events() {
        for body in [
            r#"{"data": {"device": 1}, "uplink_metadata": {"id": "d", "labels": ["a=b"]}}"#,
            r#"{"event": "join", "device": {"id": "d", "labels": ["a=b"]}}"#,
        ] {
            assert_eq!(labels(body), ["a=b"], "{body}");
        }
        for body in ["{}", r#"{"uplink_metadata": {"labels": null}}"#, "[]"] {
            assert!(labels(body).is_empty(), "{body}");
        }
    }
}
