//! What the placeholders of a topic stand for in a delivery.

use serde::Deserialize;

use crate::{store::deliveries::Delivery, topic::Subject};

/// Calls `then` with the subject of a delivery; its labels are read where the topic speaks of them.
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

/// The device's labels, as the native output has them.
fn labels(body: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Output {
        uplink_metadata: Device,
    }
    #[derive(Deserialize)]
    struct Device {
        labels: Option<Vec<String>>,
    }
    let output: Option<Output> = serde_json::from_str(body).ok();
    output
        .and_then(|output| output.uplink_metadata.labels)
        .unwrap_or_default()
}
