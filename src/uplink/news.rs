//! What is kept of a message that is no uplink: an event of the device or the connection.

use serde_json::{Map, Value, json};

use super::networks::{DownlinkState, News, Told};
use crate::store::{members, record::NewEvent};

/// The event that is kept.
pub fn as_event(news: &News) -> NewEvent {
    let (kind, message, about) = match &news.told {
        Told::Join { dev_addr } => (
            "join",
            "the device joined the network".to_owned(),
            json!({"dev_addr": dev_addr}),
        ),
        Told::Downlink(downlink) => {
            let (kind, message) = of_downlink(&downlink.state);
            let about = json!({
                "correlation": downlink.correlation,
                "network_reference": downlink.network_reference,
                "f_cnt_down": downlink.f_cnt_down,
            });
            (kind, message, about)
        }
        Told::Status {
            battery_percent,
            external_power,
            margin_db,
        } => (
            "status",
            "the device told its battery and margin".to_owned(),
            json!({
                "battery_percent": battery_percent,
                "external_power": external_power,
                "margin_db": margin_db,
            }),
        ),
        Told::Location {
            latitude,
            longitude,
            altitude_m,
            accuracy_m,
        } => (
            "location",
            "the network located the device".to_owned(),
            json!({
                "latitude": latitude,
                "longitude": longitude,
                "altitude_m": altitude_m,
                "accuracy_m": accuracy_m,
            }),
        ),
        Told::Error { code, message } => ("network_error", message.clone(), json!({"code": code})),
        Told::Log {
            level,
            code,
            message,
        } => (
            "network_log",
            message.clone(),
            json!({"level": level, "code": code}),
        ),
        Told::Other { kind } => (
            "message",
            format!("the network server sent {kind}"),
            json!({"kind": kind}),
        ),
    };
    let mut details = members(json!({
        "network_device_id": news.network_device_id,
        "time": news.time,
    }));
    details.extend(members(about));
    NewEvent {
        kind,
        message,
        details: told_only(details),
    }
}

/// The kind of event and its words for a state.
fn of_downlink(state: &DownlinkState) -> (&'static str, String) {
    let (kind, message) = match state {
        DownlinkState::Queued => ("downlink_queued", "the network server queued a downlink"),
        DownlinkState::Sent => ("downlink_sent", "a gateway sent a downlink"),
        DownlinkState::Acknowledged => ("downlink_acknowledged", "the device confirmed a downlink"),
        DownlinkState::NotAcknowledged => (
            "downlink_not_acknowledged",
            "the device did not confirm a downlink",
        ),
        DownlinkState::Failed(why) => ("downlink_failed", why.as_str()),
    };
    (kind, message.to_owned())
}

/// Leaves out what was not told; a known device's address is null in no event but where none is.
fn told_only(details: Map<String, Value>) -> Map<String, Value> {
    details
        .into_iter()
        .filter(|(name, value)| name == "network_device_id" || !value.is_null())
        .collect()
}
